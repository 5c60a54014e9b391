#pragma once
// Window: how many events the peer of a channel is ready to take (_zpc_more). A pure counter.

#include <algorithm>
#include <cstdint>

namespace sluice::zerorpc {

class Window {
 public:
  std::int64_t slots() const noexcept { return std::max<std::int64_t>(slots_, 0); }

  // One event goes out: an answer, an item, the end of a stream. Heartbeats are free.
  bool take() noexcept {
    if (slots_ <= 0) return false;
    --slots_;
    return true;
  }

  // The peer announces `more`. Python adds, so we add, also what is below 0: a peer may take back what it announced. A sum without bounds
  // would overflow.
  void add(std::int64_t more) noexcept { slots_ = std::clamp(slots_ + std::clamp(more, -kMost, kMost), -kMost, kMost); }

  static constexpr std::int64_t kMost = 1'000'000;

 private:
  std::int64_t slots_ = 1;  // what every channel begins with
};

}  // namespace sluice::zerorpc
