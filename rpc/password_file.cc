#include "rpc/password_file.h"

#include <algorithm>
#include <stdexcept>

namespace sluice {

std::string read_password_file(const std::string& file, FileKind kind) {
  std::string line;
  try {
    line = read_file(file, kind);
  } catch (const std::runtime_error& problem) {
    throw std::runtime_error("password_file: " + std::string(problem.what()));
  }
  line.resize(std::min(line.find('\n'), line.size()));
  if (line.ends_with('\r')) line.pop_back();
  if (line.empty()) throw std::runtime_error("password_file: " + file + " has nothing on its first line, where the password is expected");
  return line;
}

}  // namespace sluice
