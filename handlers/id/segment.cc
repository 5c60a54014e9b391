#include "handlers/id/segment.h"

#include <algorithm>

namespace sluice::id {

void Step::adapt(std::int64_t used, std::int64_t lasted_ms) noexcept {
  const double wanted = static_cast<double>(used) * kTargetMs / static_cast<double>(std::max<std::int64_t>(lasted_ms, 1));
  const double bounded = std::clamp(wanted, static_cast<double>(now) / 2, static_cast<double>(now) * 8);
  now = std::clamp(static_cast<std::int64_t>(bounded), least, std::max(least, kMost));
}

void Buffers::drop_spent() noexcept {
  while (segments_ > 0 && left(0) == 0) {
    ring_[0] = ring_[1];
    ring_[1] = ring_[2];
    --segments_;
  }
}

bool Buffers::take(std::int64_t& number) noexcept {
  if (segments_ == 0) return false;
  Half& half = ring_[0];
  number = half.first + half.at++ * half.delta;
  ++taken_;
  if (half.at == half.count) drop_spent();
  return true;
}

bool Buffers::take(std::int64_t count, Rows& to) {
  if (count > left()) return false;
  taken_ += count;
  while (count > 0) {
    Half& half = ring_[0];
    const std::int64_t part = std::min(count, half.count - half.at);
    to.push_back({half.first + half.at * half.delta, part, half.delta, half.step});
    half.at += part;
    count -= part;
    drop_spent();
  }
  return true;
}

bool Buffers::fill(const Segment& segment) noexcept {
  if (segments_ == static_cast<int>(ring_.size()) || segment.count <= 0) return false;
  static_cast<Segment&>(ring_[static_cast<std::size_t>(segments_)]) = segment;
  ring_[static_cast<std::size_t>(segments_++)].at = 0;
  return true;
}

}  // namespace sluice::id
