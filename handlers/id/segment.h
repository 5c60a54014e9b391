#pragma once
// Buffers: the numbers of one tag that were reserved and not given yet: the segment in use and the one after it. Decisions only:
// no clock, no store, no lock.

#include <array>
#include <cstdint>
#include <vector>

#include "handlers/id/store.h"

namespace sluice::id {

// How large the next segment is to be: what lasts some ten seconds at the rate that the last one was used up with.
struct Step {
  static constexpr std::int64_t kTargetMs = 10'000;
  static constexpr std::int64_t kMost = 10'000'000;

  std::int64_t least = 1000;  // the tag's own
  std::int64_t now = 1000;

  // `used` numbers lasted `lasted_ms`. Grows up to eightfold at once, so that a burst is met soon, and shrinks by half.
  void adapt(std::int64_t used, std::int64_t lasted_ms) noexcept;
};

class Buffers {
 public:
  // Numbers in arithmetic rows: `count` from `first` on, `delta` apart.
  using Rows = std::vector<Segment>;

  // The next `count` numbers, or none at all and false when there are too few.
  bool take(std::int64_t count, Rows& to);
  // The one next number, by the same rule.
  bool take(std::int64_t& number) noexcept;

  // Should another segment be fetched, at a moment when none is under way? From a tenth of the current one on.
  bool low() const noexcept { return segments_ < 2 && (segments_ == 0 || (ring_[0].count - left(0)) * 10 >= ring_[0].count); }
  // Takes in a segment. Answers false, changing nothing, when there are three already.
  bool fill(const Segment&) noexcept;

  std::int64_t left() const noexcept {
    std::int64_t sum = 0;
    for (int i = 0; i < segments_; ++i) sum += left(i);
    return sum;
  }
  std::int64_t taken() const noexcept { return taken_; }  // since the beginning

 private:
  struct Half : Segment {
    std::int64_t at = 0;  // given of it
  };
  std::int64_t left(int half) const noexcept { return ring_[static_cast<std::size_t>(half)].count - ring_[static_cast<std::size_t>(half)].at; }
  void drop_spent() noexcept;

  std::array<Half, 3> ring_{};  // the third for one call that wants more than two hold
  int segments_ = 0;
  std::int64_t taken_ = 0;
};

}  // namespace sluice::id
