#pragma once
// PasswordFile: a password that stands in a file of its own, so that no configuration, no flag and no `ps` holds it.

#include <string>

#include "rpc/read_file.h"

namespace sluice {

// The first line of `file`, without its end. Blocks. Throws std::runtime_error that names the file and what is wrong with it.
std::string read_password_file(const std::string& file, FileKind = FileKind::regular);

}  // namespace sluice
