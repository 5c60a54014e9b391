#include "gateway/listen.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <charconv>
#include <stdexcept>

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

std::optional<std::string> exposed(const config::Settings& settings) {
  if (settings.listen_without_authentication) return std::nullopt;
  auto refuse = [](const std::string& endpoint) {
    return "refusing to listen on " + endpoint +
           ": it can be reached from other machines, and nobody is asked who he is. Listen on 127.0.0.1, or, if that is what you want, say "
           "--listen-without-authentication (gateway.listen_without_authentication = true)";
  };
  for (const std::string& listen : settings.xmlrpc_listen)
    if (!is_loopback(host_and_port(listen).first)) return refuse(listen);
  for (const std::string& endpoint : settings.zerorpc_listen) {
    if (!endpoint.starts_with("tcp://")) continue;  // ipc: a file of this machine
    const std::string address = endpoint.substr(6);
    const auto colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "lo") continue;
    if (!is_loopback(host)) return refuse(endpoint);
  }
  return std::nullopt;
}

}  // namespace sluice
