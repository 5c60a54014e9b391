#pragma once
// Window: how many events the peer of a channel is ready to take (_zpc_more). A pure counter.

#include <algorithm>
#include <cstdint>

namespace sluice::zerorpc {

class Window {
 public:
  std::int64_t slots() const noexcept { return slots_; }

  // One event goes out: an answer, an item, the end of a stream. Heartbeats are free.
  bool take() noexcept {
    if (slots_ == 0) return false;
    --slots_;
    return true;
  }

  // The peer announces `more`. Python adds, so we add; a sum without bounds would overflow.
  void add(std::int64_t more) noexcept { slots_ = std::min(kMost, slots_ + std::clamp<std::int64_t>(more, 0, kMost)); }

 private:
  static constexpr std::int64_t kMost = 1'000'000;
  std::int64_t slots_ = 1;  // what every channel begins with
};

}  // namespace sluice::zerorpc
