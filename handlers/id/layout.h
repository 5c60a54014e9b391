#pragma once
// Layout: how a snowflake id is put together: time, worker and sequence in at most 63 bits, and the instant that time is counted from.

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::id {

// 2025-01-01T00:00:00Z. With 41 bits of milliseconds it lasts until 2094.
inline constexpr std::int64_t kDefaultEpochMs = 1'735'689'600'000;

struct Layout {
  int time_bits = 41;
  int worker_bits = 10;
  int sequence_bits = 12;
  std::int64_t tick_ms = 1;                  // what one step of the time is: 1 or 1000
  std::int64_t epoch_ms = kDefaultEpochMs;   // Unix milliseconds

  bool operator==(const Layout&) const = default;

  std::int64_t workers() const noexcept { return std::int64_t{1} << worker_bits; }
  std::int64_t per_tick() const noexcept { return std::int64_t{1} << sequence_bits; }
  std::int64_t end_ms() const noexcept { return epoch_ms + (std::int64_t{1} << time_bits) * tick_ms; }  // no id beyond

  // Unix milliseconds to ticks. A tick begins at or before the instant, or for `up` at or after it. Before the epoch: 0.
  std::int64_t tick(std::int64_t unix_ms) const noexcept { return unix_ms <= epoch_ms ? 0 : (unix_ms - epoch_ms) / tick_ms; }
  std::int64_t tick_up(std::int64_t unix_ms) const noexcept { return unix_ms <= epoch_ms ? 0 : (unix_ms - epoch_ms + tick_ms - 1) / tick_ms; }
  std::int64_t unix_ms(std::int64_t tick) const noexcept { return epoch_ms + tick * tick_ms; }

  std::int64_t id(std::int64_t tick, std::int64_t worker, std::int64_t sequence) const noexcept {
    return (tick << (worker_bits + sequence_bits)) | (worker << sequence_bits) | sequence;
  }

  struct Parts {
    std::int64_t unix_ms = 0, worker = 0, sequence = 0;
  };
  Parts parts(std::int64_t id) const noexcept;

  // "41/10/12 1ms 2025-01-01": what gateways that share a store must agree on.
  std::string describe() const;
};

// A namespace of ids: ids of one space are never alike; those of two may be.
struct Space {
  std::string name = "main";
  Layout layout;
};

// "orders", "web layout=js53", "old layout=42/8/13 epoch=2020-01-01": layout is time/worker/sequence bits of milliseconds, or js53: 31 bits of
// seconds, 6 and 16, which JavaScript's numbers hold. Throws std::invalid_argument with a message for the operator.
Space parse_space(std::string_view text);

}  // namespace sluice::id
