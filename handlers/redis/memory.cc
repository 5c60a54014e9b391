#include "handlers/redis/memory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <stdexcept>

#include "rpc/fault.h"

namespace sluice::redis {
namespace {

struct Descriptor {
  explicit Descriptor(int fd) : fd(fd) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  const int fd;
};

Known most(Known a, const Known& b) {
  a.longest = std::max(a.longest, b.longest);
  if (b.epoch < a.epoch) return a;
  a.epoch = b.epoch;
  a.id = b.id;
  return a;
}

// One line that ends in a point: half a line is none.
Known parse(const std::string& text, const std::string& file) {
  std::istringstream in(text);
  Known known;
  std::string title, end;
  if (text.empty()) return known;
  if (!(in >> title >> known.epoch >> known.longest >> known.id >> end) || title != "redis-memory" || end != ".")
    throw std::runtime_error(
        "the file '" + file +
        "' does not say what is known of Redis; remove it only when no lease of its locks can live any more, and raise lock.epoch then");
  return known;
}

std::string content(int fd) {
  char buffer[512];
  const ssize_t n = ::pread(fd, buffer, sizeof buffer, 0);
  return std::string(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
}

}  // namespace

Memory::Memory(std::string file) : file_(std::move(file)) {
  const Descriptor in(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
  if (in.fd < 0 && errno != ENOENT) throw std::runtime_error("the file '" + file_ + "' cannot be read: " + std::strerror(errno));
  if (in.fd >= 0) known_ = parse(content(in.fd), file_);
}

void Memory::learn(const Known& news) {
  if (most(known_, news) == known_) return;
  const auto failed = [this](const char* what) {
    return Fault(Fault::Kind::unavailable, "the file '" + file_ + "' cannot be " + what + ": " + std::strerror(errno));
  };
  const Descriptor lock(::open((file_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd < 0 || ::flock(lock.fd, LOCK_EX) != 0) throw failed("locked");
  Known known = most(known_, news);
  {
    const Descriptor in(::open(file_.c_str(), O_RDONLY | O_CLOEXEC));
    if (in.fd >= 0) known = most(known, parse(content(in.fd), file_));
  }
  const std::string text = "redis-memory " + std::to_string(known.epoch) + " " + std::to_string(known.longest) + " " + known.id + " .\n",
                    fresh = file_ + ".new";
  {
    const Descriptor out(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (out.fd < 0 || ::write(out.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(out.fd) != 0)
      throw failed("written");
  }
  if (::rename(fresh.c_str(), file_.c_str()) != 0) throw failed("put in its place");
  const auto slash = file_.rfind('/');
  const Descriptor folder(::open(slash == file_.npos ? "." : file_.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd < 0 || ::fsync(folder.fd) != 0) throw failed("made durable");
  known_ = std::move(known);
}

}  // namespace sluice::redis
