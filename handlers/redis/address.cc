#include "handlers/redis/address.h"

#include <netdb.h>

#include <charconv>
#include <cstring>
#include <stdexcept>

#include "rpc/password_file.h"

namespace sluice::redis {
namespace {

int number(std::string_view text, int most, const char* what) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most)
    throw std::runtime_error(std::string(what) + " must be a number up to " + std::to_string(most) + ", not '" + std::string(text) + "'");
  return value;
}

}  // namespace

Url read_url(std::string_view scheme, std::string_view url) {
  const std::string expected = "expected " + std::string(scheme) + "://[:PASSWORD@]HOST:PORT" +
                               (scheme == "redis" ? "" : ",HOST:PORT,...") + "[/DATABASE][?password_file=FILE]";
  url.remove_prefix(scheme.size() + 3);
  Url out;
  if (const auto at = url.rfind('@'); at != url.npos) {
    if (url.empty() || url.front() != ':') throw std::runtime_error("the password stands behind a colon; " + expected);
    out.password = url.substr(1, at - 1);
    url.remove_prefix(at + 1);
  }
  if (const auto query = url.find('?'); query != url.npos) {
    constexpr std::string_view kFile = "password_file=";
    if (!url.substr(query + 1).starts_with(kFile))
      throw std::runtime_error("'" + std::string(url.substr(query)) + "' is not known; " + expected);
    out.password_file = url.substr(query + 1 + kFile.size());
    url = url.substr(0, query);
  }
  if (const auto slash = url.find('/'); slash != url.npos) {
    out.database = number(url.substr(slash + 1), 1'000'000, "the database");
    url = url.substr(0, slash);
  }
  while (true) {
    const auto comma = url.find(',');
    const std::string_view one = url.substr(0, comma);
    const auto colon = one.rfind(':');
    if (colon == one.npos || colon == 0) throw std::runtime_error("'" + std::string(one) + "' is no HOST:PORT; " + expected);
    std::string host(one.substr(0, colon));
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    for (const Url::Master& other : out.masters)
      if (other.name == one) throw std::runtime_error("'" + other.name + "' stands there twice");
    out.masters.push_back({std::string(one), std::move(host), number(one.substr(colon + 1), 65'535, "the port")});
    if (comma == url.npos) return out;
    url.remove_prefix(comma + 1);
  }
}

std::vector<Address> look_up(const Url& url) {
  const std::string password = url.password_file.empty() ? url.password : read_password_file(url.password_file);
  std::vector<Address> all;
  for (const Url::Master& master : url.masters) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    if (const int error = ::getaddrinfo(master.host.c_str(), std::to_string(master.port).c_str(), &hints, &found); error != 0)
      throw std::runtime_error("the host '" + master.host + "' cannot be looked up: " + ::gai_strerror(error));
    Address address{.name = master.name, .password = password, .database = url.database};
    std::memcpy(&address.socket, found->ai_addr, found->ai_addrlen);
    address.length = found->ai_addrlen;
    ::freeaddrinfo(found);
    all.push_back(std::move(address));
  }
  return all;
}

}  // namespace sluice::redis
