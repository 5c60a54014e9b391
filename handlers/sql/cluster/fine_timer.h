#pragma once
// FineTimer: one shot, to the tenth of a millisecond; a loop's own timers are too coarse to wait for a replica. A timerfd(2) each.

#include <sys/timerfd.h>
#include <unistd.h>

#include <system_error>

#include "rpc/loop.h"

namespace sluice::sql::cluster {

class FineTimer final : private Loop::Watcher {
 public:
  explicit FineTimer(Loop& loop) : loop_(loop), fd_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "timerfd_create");
    loop_.watch(fd_, EPOLLIN, *this);
  }
  ~FineTimer() {
    loop_.unwatch(fd_, *this);
    ::close(fd_);
  }
  FineTimer(const FineTimer&) = delete;
  FineTimer& operator=(const FineTimer&) = delete;

  void start(std::chrono::microseconds after, Loop::Task task) {
    task_ = std::move(task);
    itimerspec when{};
    when.it_value.tv_sec = after.count() / 1'000'000;
    when.it_value.tv_nsec = std::max<long>(1, after.count() % 1'000'000 * 1000);
    ::timerfd_settime(fd_, 0, &when, nullptr);
  }

 private:
  void on_ready(std::uint32_t) override {
    std::uint64_t times = 0;
    if (::read(fd_, &times, sizeof times) == sizeof times && task_) std::move(task_)();
  }

  Loop& loop_;
  int fd_;
  Loop::Task task_;
};

}  // namespace sluice::sql::cluster
