#include "gateway/kept_secret.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace sluice {
namespace {

std::runtime_error problem(const std::string& what, const std::string& file) {
  return std::runtime_error("the file '" + file + "', whose content signs tokens, " + what + ": " + std::generic_category().message(errno));
}

// Whole under a name of its own before it has the right one: nobody reads half of it.
void make(const std::string& file) {
  std::array<unsigned char, 32> raw;
  if (::getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(raw.size())) throw problem("cannot be made", file);
  std::string text;
  for (const unsigned char byte : raw) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  text += '\n';
  std::string fresh = file + ".XXXXXX";
  const int fd = ::mkstemp(fresh.data());  // mode 0600
  if (fd < 0) throw problem("cannot be made", file);
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
  ::close(fd);
  const bool linked = written && (::link(fresh.c_str(), file.c_str()) == 0 || errno == EEXIST);
  const int error = errno;
  ::unlink(fresh.c_str());
  errno = error;
  if (!linked) throw problem("cannot be made", file);
}

}  // namespace

std::string kept_secret(const std::string& file) {
  if (::access(file.c_str(), F_OK) != 0) make(file);
  std::ifstream in(file);
  std::string secret;
  if (!std::getline(in, secret)) throw problem("cannot be read", file);
  if (secret.size() < 16) throw std::runtime_error("the file '" + file + "', whose content signs tokens, holds less than 16 characters; remove it, and it is made anew");
  return secret;
}

}  // namespace sluice
