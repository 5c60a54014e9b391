#include "gateway/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <stdexcept>
#include <tuple>

namespace sluice {

std::pair<std::string, std::uint16_t> host_and_port(const std::string& listen) {
  const auto colon = listen.rfind(':');
  auto fail = [&] { throw std::runtime_error("'" + listen + "' is no address to listen on; expected HOST:PORT, such as 127.0.0.1:4242 or [::1]:4242"); };
  if (colon == listen.npos || colon == 0) fail();
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != host.npos)
    fail();
  std::uint16_t port = 0;
  const char* end = listen.data() + listen.size();
  auto [stop, error] = std::from_chars(listen.data() + colon + 1, end, port);
  if (error != std::errc() || stop != end || colon + 1 == listen.size()) fail();
  return {host, port};
}

Listener read_listener(const std::string& listen) {
  Listener out;
  std::string rest = listen;
  for (const auto& [scheme, security] : {std::pair<std::string_view, Listener::Security>{"http://", Listener::Security::plain},
                                         {"https://", Listener::Security::tls},
                                         {"mtls://", Listener::Security::mutual}}) {
    if (!listen.starts_with(scheme)) continue;
    out.security = security;
    rest = listen.substr(scheme.size());
  }
  std::tie(out.host, out.port) = host_and_port(rest);
  return out;
}

void check_endpoint(const std::string& endpoint) {
  if (!endpoint.starts_with("tcp://") && !endpoint.starts_with("ipc://") && !endpoint.starts_with("curve+tcp://"))
    throw std::runtime_error("zerorpc.listen: '" + endpoint + "' is no endpoint; expected tcp://HOST:PORT, curve+tcp://HOST:PORT or ipc://FILE");
  if (endpoint.starts_with("ipc://")) return;
  // libzmq would take the port's lower 16 bits.
  const std::string_view port = std::string_view(endpoint).substr(endpoint.rfind(':') + 1);
  std::uint16_t number = 0;
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (port != "*" && (error != std::errc() || stop != port.data() + port.size()))
    throw std::runtime_error("zerorpc.listen: '" + endpoint + "' has no port; expected a number from 0 to 65535 after the last colon, not '" + std::string(port) + "'");
}

bool is_loopback(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || host == "*" || ::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  bool loopback = true;
  for (addrinfo* one = found; one; one = one->ai_next) {
    if (one->ai_family == AF_INET)
      loopback &= (ntohl(reinterpret_cast<sockaddr_in*>(one->ai_addr)->sin_addr.s_addr) >> 24) == 127;
    else if (one->ai_family == AF_INET6)
      loopback &= IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<sockaddr_in6*>(one->ai_addr)->sin6_addr) != 0;
  }
  ::freeaddrinfo(found);
  return loopback;
}

std::optional<Exposed> exposed(const config::Settings& settings) {
  if (settings.listen_without_authentication) return std::nullopt;
  const bool asked = !settings.access.users.empty();
  auto refuse = [&](const char* key, const std::string& endpoint) {
    return Exposed{key, "refusing to listen on " + endpoint + ": it can be reached from other machines, and " +
                            (asked ? "all that is said can be read on the way" : "nobody is asked who he is") +
                            ". Listen on 127.0.0.1, or with access.users on https://, mtls:// and curve+tcp://, or, if that is what you want, say "
                            "--listen-without-authentication (gateway.listen_without_authentication = true)"};
  };
  for (const std::string& listen : settings.xmlrpc_listen)
    if (const Listener at = read_listener(listen); !is_loopback(at.host) && (!asked || at.security == Listener::Security::plain)) return refuse("xmlrpc.listen", listen);
  for (const std::string& endpoint : settings.zerorpc_listen) {
    if (endpoint.starts_with("ipc://")) continue;  // a file of this machine
    if (asked && endpoint.starts_with("curve+")) continue;
    const std::string address = endpoint.substr(endpoint.find("://") + 3);
    const auto colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "lo") continue;
    if (!is_loopback(host)) return refuse("zerorpc.listen", endpoint);
  }
  return std::nullopt;
}

}  // namespace sluice
