#include "rpc/read_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace sluice {

// Not by a stream: of a folder it throws "underflow error" and nothing else.
std::string read_file(const std::string& path) {
  auto fail = [&path] { return std::system_error(errno, std::generic_category(), path + ": cannot be read"); };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (!file) throw fail();
  std::string content;
  char piece[16384];
  while (const std::size_t n = std::fread(piece, 1, sizeof piece, file.get())) content.append(piece, n);
  if (std::ferror(file.get())) throw fail();
  return content;
}

}  // namespace sluice
