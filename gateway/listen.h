#pragma once
// Listen: may the gateway listen there? Whoever reaches it may run any statement, so an address beyond loopback must be asked
// for in so many words.

#include <optional>
#include <string>
#include <utility>

#include "gateway/config/settings.h"

namespace sluice {

// "127.0.0.1:4242" or "[::1]:4242" taken apart. Throws std::runtime_error.
std::pair<std::string, std::uint16_t> host_and_port(const std::string& listen);

bool is_loopback(const std::string& host);

// The first endpoint that others could reach, with what to do about it; nullopt when all is well.
std::optional<std::string> exposed(const config::Settings&);

}  // namespace sluice
