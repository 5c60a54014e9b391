#include "rpc/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace sluice {
namespace {

std::system_error cannot(const std::string& path, int error) { return {error, std::generic_category(), path + ": cannot be read"}; }

class Open {
 public:
  Open(const std::string& path, FileKind kind)
      // Without O_NONBLOCK a pipe that nobody writes to would not even be opened.
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (kind == FileKind::regular ? O_NONBLOCK : 0))) {
    if (fd_ < 0) throw cannot(path, errno);
    struct stat status {};
    if (kind == FileKind::any || (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode))) return;
    ::close(fd_);
    if (S_ISDIR(status.st_mode)) throw cannot(path, EISDIR);
    throw std::runtime_error(path + ": cannot be read: it is no regular file, but a pipe, a socket or a device");
  }
  ~Open() { ::close(fd_); }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

}  // namespace

// Not by a stream: of a folder it throws "underflow error" and nothing else.
std::string read_file(const std::string& path, FileKind kind) {
  const Open file(path, kind);
  std::string content;
  char piece[16384];
  for (;;) {
    const ssize_t n = ::read(file.fd(), piece, sizeof piece);
    if (n > 0)
      content.append(piece, static_cast<std::size_t>(n));
    else if (n == 0)
      return content;
    else if (errno != EINTR)
      throw cannot(path, errno);
  }
}

void check_file(const std::string& path) { const Open file(path, FileKind::regular); }

}  // namespace sluice
