#pragma once
// A whole file as a text.

#include <string>

namespace sluice {

// Throws std::system_error "PATH: cannot be read: why", of a folder too.
std::string read_file(const std::string& path);

}  // namespace sluice
