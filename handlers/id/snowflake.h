#pragma once
// Snowflake: ids of one space from one atomic word, for any number of threads, strictly increasing over all of them.
//
// The word is (tick, sequence, worker), the next id to give. A block of any size is one compare-and-swap. No id is given at or
// above the limit, which is a mark that was made durable before. The worker is in the word so that a compare-and-swap under
// one worker's limit can never succeed after another worker was appointed: the word only grows, so it does not come back.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "handlers/id/layout.h"

namespace sluice::id {

class Snowflake {
 public:
  explicit Snowflake(Layout layout) noexcept : layout_(layout) {}

  // Consecutive in (tick, sequence); they are numbers in a row only within a tick.
  struct Block {
    std::int64_t first = 0;  // (tick << sequence bits) | sequence
    std::int64_t worker = 0;
    std::int64_t count = 0;
  };
  enum class Refusal : std::uint8_t {
    mark,   // it would pass the limit, or the time has: extend first
    ahead,  // it would be further ahead of the time than is allowed: wait
  };
  struct Taken {
    std::optional<Refusal> refusal;
    Block block;
    bool low = false;  // the limit is near, or the time has passed it: have it extended
  };

  // `now` in ticks; `ahead` is how many ticks an id may be ahead of it. With `leftovers`, what is left below the limit is given
  // though the time has passed it: for when the store is away. count > 0.
  Taken take(std::int64_t count, std::int64_t now, std::int64_t ahead, bool leftovers) noexcept {
    std::uint64_t old = word_.load(std::memory_order_acquire);
    for (;;) {
      const std::int64_t limit = limit_.load(std::memory_order_acquire);  // after the word: see appoint()
      const auto next = static_cast<std::int64_t>(old >> layout_.worker_bits);
      std::int64_t first = std::max(next, now << layout_.sequence_bits);
      bool late = false;
      if (first + count > limit << layout_.sequence_bits) {
        if (!leftovers || next + count > limit << layout_.sequence_bits) return {Refusal::mark, {}, true};
        first = next;
        late = true;
      }
      const std::int64_t end = first + count;
      if ((end - 1) >> layout_.sequence_bits > now + ahead) return {Refusal::ahead, {}, false};
      const std::uint64_t worker = old & ((std::uint64_t{1} << layout_.worker_bits) - 1);
      if (word_.compare_exchange_weak(old, static_cast<std::uint64_t>(end) << layout_.worker_bits | worker, std::memory_order_acq_rel, std::memory_order_acquire))
        return {std::nullopt, {first, static_cast<std::int64_t>(worker), count}, late || end >> layout_.sequence_bits >= low_.load(std::memory_order_relaxed)};
    }
  }

  std::int64_t id(const Block& block, std::int64_t index) const noexcept {
    const std::int64_t at = block.first + index;
    return layout_.id(at >> layout_.sequence_bits, block.worker, at & (layout_.per_tick() - 1));
  }

  // By one thread at a time. The first id is above all that were given, and not below `start`; none reaches `limit` (ticks).
  void appoint(std::int64_t worker, std::int64_t start, std::int64_t limit, std::int64_t low) noexcept;
  void extend(std::int64_t limit, std::int64_t low) noexcept;  // of the same worker; never backward

  // The first tick in which nothing was given yet.
  std::int64_t next_tick() const noexcept;
  std::int64_t next_sequence() const noexcept { return static_cast<std::int64_t>(word_.load(std::memory_order_relaxed) >> layout_.worker_bits) & (layout_.per_tick() - 1); }
  std::int64_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  const Layout& layout() const noexcept { return layout_; }

 private:
  const Layout layout_;
  alignas(64) std::atomic<std::uint64_t> word_{0};
  alignas(64) std::atomic<std::int64_t> limit_{0};  // ticks, exclusive
  std::atomic<std::int64_t> low_{0};
};

}  // namespace sluice::id
