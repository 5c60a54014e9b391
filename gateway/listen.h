#pragma once
// Listen: may the gateway listen there? Whoever reaches it may run any statement, so an address beyond loopback must be asked
// for in so many words.

#include <optional>
#include <string>
#include <utility>

#include "gateway/config/settings.h"

namespace sluice {

// Where XML-RPC is listened for: HOST:PORT, https://HOST:PORT, or mtls://HOST:PORT, which serves nobody without a certificate.
struct Listener {
  enum class Security { plain, tls, mutual };
  std::string host;
  std::uint16_t port = 0;
  Security security = Security::plain;
};
Listener read_listener(const std::string& listen);  // throws std::runtime_error

// tcp://HOST:PORT, curve+tcp://HOST:PORT or ipc://FILE, where zerorpc is listened for. Throws std::runtime_error when it is none.
void check_endpoint(const std::string&);

// "127.0.0.1:4242" or "[::1]:4242" taken apart. Throws std::runtime_error.
std::pair<std::string, std::uint16_t> host_and_port(const std::string& listen);

bool is_loopback(const std::string& host);

// The first endpoint that others could reach, by the key that names it, and what to do about it; nullopt when all is well.
struct Exposed {
  std::string key, why;
};
std::optional<Exposed> exposed(const config::Settings&);

}  // namespace sluice
