#pragma once
// BootClock: the time that leases are measured in. It does not follow the wall clock's steps, and unlike the monotonic clock
// it goes on while the machine sleeps.

#include <ctime>

#include <chrono>

namespace sluice {

struct BootClock {
  using duration = std::chrono::milliseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_BOOTTIME, &t);
    return time_point(std::chrono::floor<duration>(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec)));
  }
};

}  // namespace sluice
