#include "handlers/id/clock.h"

#include <ctime>

#include <algorithm>

namespace sluice::id {
namespace {

constexpr std::int64_t kBetweenReadingsMs = 50;

std::int64_t ms_of(clockid_t clock) noexcept {
  timespec t{};
  ::clock_gettime(clock, &t);
  return static_cast<std::int64_t>(t.tv_sec) * 1000 + t.tv_nsec / 1'000'000;
}

}  // namespace

std::int64_t LogicalTime::read(std::int64_t wall, std::int64_t boot) noexcept {
  const std::int64_t elapsed = std::max<std::int64_t>(boot - boot_, 0);
  const std::int64_t onward = now_ + elapsed;
  leapt_ = wall - onward > kLeapLimitMs;
  const std::int64_t next = leapt_ ? onward : std::max(wall, onward - elapsed / kSlower);
  now_ = std::max(now_, next);
  boot_ = boot;
  lead_ = now_ - wall;
  return now_;
}

void LogicalClock::restart() noexcept {
  const std::lock_guard lock(mutex_);
  const std::int64_t coarse = ms_of(CLOCK_MONOTONIC_COARSE);
  time_.start(ms_of(CLOCK_REALTIME), ms_of(CLOCK_BOOTTIME));
  offset_.store(time_.now() - coarse, std::memory_order_relaxed);
  read_at_.store(coarse, std::memory_order_relaxed);
}

std::int64_t LogicalClock::now_ms() noexcept {
  const std::int64_t coarse = ms_of(CLOCK_MONOTONIC_COARSE);
  if (coarse - read_at_.load(std::memory_order_relaxed) >= kBetweenReadingsMs) read(coarse);
  return coarse + offset_.load(std::memory_order_relaxed);
}

void LogicalClock::read(std::int64_t coarse) noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;  // another thread does it
  offset_.store(time_.read(ms_of(CLOCK_REALTIME), ms_of(CLOCK_BOOTTIME)) - coarse, std::memory_order_relaxed);
  read_at_.store(coarse, std::memory_order_relaxed);
}

void LogicalClock::raise(std::int64_t to_ms) noexcept {
  const std::lock_guard lock(mutex_);
  const std::int64_t coarse = ms_of(CLOCK_MONOTONIC_COARSE);
  time_.read(ms_of(CLOCK_REALTIME), ms_of(CLOCK_BOOTTIME));
  time_.raise(to_ms);
  offset_.store(time_.now() - coarse, std::memory_order_relaxed);
  read_at_.store(coarse, std::memory_order_relaxed);
}

std::int64_t LogicalClock::lead_ms() const noexcept {
  const std::lock_guard lock(mutex_);
  return time_.lead();
}

bool LogicalClock::leapt() const noexcept {
  const std::lock_guard lock(mutex_);
  return time_.leapt();
}

}  // namespace sluice::id
