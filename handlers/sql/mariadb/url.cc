#include "handlers/sql/mariadb/url.h"

#include <charconv>
#include <stdexcept>

#include "rpc/percent.h"

namespace sluice::sql::mariadb {
namespace {

constexpr std::string_view kForm = "expected mariadb://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE";

// What is before the divider, which is dropped with it; all of it when there is none.
std::string_view until(std::string_view& rest, char divider) {
  const auto end = rest.find(divider);
  const auto head = rest.substr(0, end);
  rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  return head;
}

std::pair<std::string, std::string> read_host(std::string_view text) {
  std::string_view host = text, port = "3306";
  const auto bracket = text.find(']');
  const auto colon = text.find(':', text.starts_with('[') && bracket != text.npos ? bracket : 0);
  if (colon != text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (host.empty()) throw std::runtime_error("not a MariaDB URL: a host is missing; " + std::string(kForm));
  if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65'535)
    throw std::runtime_error("not a MariaDB URL: '" + std::string(port) + "' is no port; " + std::string(kForm));
  return {std::string(host), std::string(port)};
}

void read_option(Url& url, std::string_view option) {
  Login& login = url.login;
  const std::string_view name = until(option, '=');
  const std::string value = percent_decode(option);
  if (name == "tls" && (value == "on" || value == "off"))
    login.tls = value == "on";
  else if (name == "tls_ca")
    login.tls_ca = value;
  else if (name == "tls_fingerprint")
    login.tls_fingerprint = value;
  else if (name == "password_file" && !value.empty())
    url.password_file = value;
  else
    throw std::runtime_error("not a MariaDB URL: the option '" + std::string(name) + "' is none of password_file=FILE, tls=on, tls=off, tls_ca=FILE, tls_fingerprint=HEX");
}

}  // namespace

Url read_url(std::string_view text) {
  Url out;
  if (!text.starts_with("mariadb://")) throw std::runtime_error("not a MariaDB URL: " + std::string(kForm));
  text.remove_prefix(10);
  std::string_view place = until(text, '?'), options = text;
  std::string_view servers = until(place, '/');
  out.login.database = percent_decode(place);
  if (const auto at = servers.rfind('@'); at != servers.npos) {
    std::string_view account = servers.substr(0, at);
    servers.remove_prefix(at + 1);
    out.login.user = percent_decode(until(account, ':'));
    out.login.password = percent_decode(account);
  }
  do {
    out.hosts.push_back(read_host(until(servers, ',')));
  } while (!servers.empty());
  while (!options.empty()) read_option(out, until(options, '&'));
  if (!out.login.tls && (!out.login.tls_ca.empty() || !out.login.tls_fingerprint.empty()))
    throw std::runtime_error("not a MariaDB URL: tls_ca and tls_fingerprint need tls=on");
  if (!out.password_file.empty() && !out.login.password.empty())
    throw std::runtime_error("not a MariaDB URL: it has a password and a password_file; one of them is expected");
  return out;
}

}  // namespace sluice::sql::mariadb
