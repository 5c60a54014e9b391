#include "handlers/id/snowflake.h"

namespace sluice::id {

std::int64_t Snowflake::next_tick() const noexcept {
  const auto next = static_cast<std::int64_t>(word_.load(std::memory_order_acquire) >> layout_.worker_bits);
  return (next + layout_.per_tick() - 1) >> layout_.sequence_bits;
}

void Snowflake::appoint(std::int64_t worker, std::int64_t start, std::int64_t limit, std::int64_t low) noexcept {
  // Whoever sees the new word sees this 0 or what came after it; whoever sees the new limit fails with the old word.
  limit_.store(0, std::memory_order_release);
  std::uint64_t old = word_.load(std::memory_order_acquire);
  for (;;) {
    const auto next = static_cast<std::int64_t>(old >> layout_.worker_bits);
    // In a tick that was begun, a lower worker's ids would be below those that were given.
    const std::int64_t fresh = (next + layout_.per_tick() - 1) >> layout_.sequence_bits << layout_.sequence_bits;
    const std::int64_t first = std::max(fresh, start << layout_.sequence_bits);
    const std::uint64_t word = static_cast<std::uint64_t>(first) << layout_.worker_bits | static_cast<std::uint64_t>(worker);
    if (word_.compare_exchange_weak(old, word, std::memory_order_acq_rel, std::memory_order_acquire)) break;
  }
  low_.store(low, std::memory_order_relaxed);
  limit_.store(limit, std::memory_order_release);
}

void Snowflake::extend(std::int64_t limit, std::int64_t low) noexcept {
  if (limit <= limit_.load(std::memory_order_relaxed)) return;
  low_.store(low, std::memory_order_relaxed);
  limit_.store(limit, std::memory_order_release);
}

}  // namespace sluice::id
