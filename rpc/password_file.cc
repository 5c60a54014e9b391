#include "rpc/password_file.h"

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace sluice {

std::string read_password_file(const std::string& file) {
  errno = 0;
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line) && errno != 0) throw std::runtime_error("password_file '" + file + "' cannot be read: " + std::generic_category().message(errno));
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) throw std::runtime_error("password_file '" + file + "' has nothing on its first line, where the password is expected");
  return line;
}

}  // namespace sluice
