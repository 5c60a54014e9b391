#pragma once
// Clock and Deadline: monotonic time. Wall clock steps change nothing.

#include <chrono>

namespace sluice {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;  // absolute; passed on, never extended
inline constexpr Deadline kNoDeadline = Deadline::max();

// A huge timeout must not wrap around into the past.
inline Deadline deadline_in(std::chrono::milliseconds span, Clock::time_point now = Clock::now()) {
  if (span >= std::chrono::duration_cast<std::chrono::milliseconds>(kNoDeadline - now)) return kNoDeadline;
  return now + span;
}

}  // namespace sluice
