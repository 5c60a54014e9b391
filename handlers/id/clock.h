#pragma once
// LogicalClock: the time that ids carry. It begins with the wall clock, goes on by the boot clock, and never goes back: a wall
// clock that is ahead is caught up with at once, one that is behind is waited for by going a little slower. A wall clock that
// leaps further ahead than anybody's correction would is not believed.

#include <atomic>
#include <cstdint>
#include <mutex>

namespace sluice::id {

// The decisions, on plain numbers of milliseconds.
class LogicalTime {
 public:
  static constexpr std::int64_t kLeapLimitMs = 3'600'000;
  static constexpr std::int64_t kSlower = 8;  // by an eighth, while ahead of the wall clock

  void start(std::int64_t wall, std::int64_t boot) noexcept { now_ = wall, boot_ = boot, lead_ = 0, leapt_ = false; }
  // Answers the time at that reading of both clocks.
  std::int64_t read(std::int64_t wall, std::int64_t boot) noexcept;
  // The time is at least that: ids up to it were given before.
  void raise(std::int64_t to) noexcept { lead_ += to > now_ ? to - now_ : 0, now_ = to > now_ ? to : now_; }

  std::int64_t now() const noexcept { return now_; }
  std::int64_t lead() const noexcept { return lead_; }  // ahead of the wall clock, as of the last reading; negative: behind
  bool leapt() const noexcept { return leapt_; }        // the wall clock is beyond the limit ahead

 private:
  std::int64_t now_ = 0, boot_ = 0, lead_ = 0;
  bool leapt_ = false;
};

// The same over the machine's clocks, for any number of threads. Between two readings of them, which are 50 ms apart, it costs
// one look at the kernel's coarse clock, whose grain is some 4 ms.
class LogicalClock {
 public:
  LogicalClock() noexcept { restart(); }
  LogicalClock(const LogicalClock&) = delete;
  LogicalClock& operator=(const LogicalClock&) = delete;

  std::int64_t now_ms() noexcept;  // Unix milliseconds; two readings may differ by a grain either way, ids do not depend on it
  void raise(std::int64_t to_ms) noexcept;
  void restart() noexcept;  // from the wall clock, before anything was given
  std::int64_t lead_ms() const noexcept;
  bool leapt() const noexcept;

 private:
  void read(std::int64_t coarse) noexcept;

  mutable std::mutex mutex_;
  LogicalTime time_;
  std::atomic<std::int64_t> offset_{0};   // the time less the coarse clock
  std::atomic<std::int64_t> read_at_{0};  // by the coarse clock
};

}  // namespace sluice::id
