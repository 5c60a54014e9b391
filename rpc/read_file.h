#pragma once
// A whole file as a text.

#include <cstdint>
#include <string>

namespace sluice {

// What may be read: a pipe keeps its reader waiting until somebody writes, for ever if need be, and has nothing more the second time.
enum class FileKind : std::uint8_t { regular, any };

// Throws std::runtime_error "PATH: cannot be read: why", of a folder too: a std::system_error where the system says why.
std::string read_file(const std::string& path, FileKind = FileKind::regular);
// Throws as read_file() does for a file that is not there, not ours to read, or not regular; for libraries that read it themselves.
void check_file(const std::string& path);

}  // namespace sluice
