#include "gateway/lifecycle/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace sluice::lifecycle {

void notify(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un to{};
  if (!path || (path[0] != '/' && path[0] != '@') || std::strlen(path) >= sizeof to.sun_path) return;
  to.sun_family = AF_UNIX;
  std::strcpy(to.sun_path, path);
  if (path[0] == '@') to.sun_path[0] = '\0';  // an abstract name
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), length);
  ::close(fd);
}

Reloading::Reloading() {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch());
  notify("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()));
}

Reloading::~Reloading() { notify("READY=1"); }

Watchdog::Watchdog(std::vector<Loop*> loops) : loops_(std::move(loops)), timer_(*loops_.front()), silent_(std::make_shared<std::atomic<std::size_t>>(0)) {
  const char* text = std::getenv("WATCHDOG_USEC");
  std::int64_t microseconds = 0;
  if (!text || std::from_chars(text, text + std::strlen(text), microseconds).ec != std::errc() || microseconds <= 0) return;
  every_ = std::max(std::chrono::milliseconds(1), std::chrono::milliseconds(microseconds / 2000));
  beat();
}

Watchdog::~Watchdog() = default;

void Watchdog::beat() {
  if (silent_->load() == 0) {
    notify("WATCHDOG=1");
    *silent_ = loops_.size();
    for (Loop* loop : loops_) loop->post([silent = silent_] { --*silent; });
  }
  timer_.start(every_, [this] { beat(); });
}

}  // namespace sluice::lifecycle
