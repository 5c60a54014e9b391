#include "handlers/id/random.h"

#include <pthread.h>
#include <sys/random.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <system_error>

namespace sluice::id {
namespace {

std::atomic<std::uint32_t> forks{0};

// Below the 256 octets that getrandom gives whole whatever interrupts it, the system call would cost more than the octets.
constexpr std::size_t kStored = 4096;

struct Stored {
  unsigned char octets[kStored];
  std::size_t used = kStored;
  std::uint32_t of_fork = 0;

  void fill() {
    for (std::size_t filled = 0; filled < kStored;) {
      const ssize_t got = ::getrandom(octets + filled, kStored - filled, 0);
      if (got > 0)
        filled += static_cast<std::size_t>(got);
      else if (errno != EINTR)
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    used = 0;
    of_fork = forks.load(std::memory_order_relaxed);
  }
};

}  // namespace

void random_octets(void* to, std::size_t size) {
  static std::once_flag once;
  std::call_once(once, [] { ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); }); });
  thread_local Stored stored;
  auto* out = static_cast<unsigned char*>(to);
  while (size > 0) {
    if (stored.used == kStored || stored.of_fork != forks.load(std::memory_order_relaxed)) stored.fill();
    const std::size_t part = std::min(size, kStored - stored.used);
    std::memcpy(out, stored.octets + stored.used, part);
    ::explicit_bzero(stored.octets + stored.used, part);
    stored.used += part;
    out += part;
    size -= part;
  }
}

}  // namespace sluice::id
