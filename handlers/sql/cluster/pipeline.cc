#include "handlers/sql/cluster/pipeline.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace sluice::sql::cluster {
namespace {

Clock::duration times(std::size_t calls, Clock::duration each) { return static_cast<std::int64_t>(calls) * each; }

struct Seen {
  int least_busy = kNoLane;  // of those that take a call
  bool coming = false;
};

Seen look(std::span<const Lane> lanes, std::size_t enough) noexcept {
  Seen seen;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const Lane& lane = lanes[i];
    seen.coming |= !lane.open && lane.coming;
    if (!lane.open || lane.full || enough == 0) continue;
    --enough;
    if (seen.least_busy == kNoLane || lane.in_flight < lanes[static_cast<std::size_t>(seen.least_busy)].in_flight) seen.least_busy = static_cast<int>(i);
  }
  return seen;
}

}  // namespace

void Pipeline::sends(std::size_t in_flight, Clock::time_point now, const PipelineLimits& limits) noexcept {
  if (in_flight > 0) return;
  if (now - progress_ > limits.stalled) proven_ = 0;
  progress_ = now;
}

// The server came to it when it had answered the one before, or when the way was behind it.
Pipeline::Group Pipeline::answered(Clock::time_point sent, Clock::time_point now, Clock::duration way, const PipelineLimits& limits) noexcept {
  const auto took = progress_ > sent ? now - progress_ : std::max<Clock::duration>(now - sent - way, {});
  Group complete;
  if (took > Clock::duration{}) complete = std::exchange(group_, {});
  group_.took += took;
  ++group_.calls;
  slow_ = group_.took > times(group_.calls, limits.holds);
  progress_ = now;
  ++proven_;
  return complete;
}

bool Pipeline::full(std::size_t in_flight, Clock::duration each, Clock::duration way, Clock::time_point now, const PipelineLimits& limits) const noexcept {
  if (in_flight == 0) return false;
  return slow_ || in_flight >= limits.unproven + 2 * proven_ || times(in_flight, each) > limits.holds + way || now - progress_ > limits.stalled + way;
}

Choice lane_for_read(std::span<const Lane> lanes, std::size_t shared) noexcept {
  const Seen seen = look(lanes, shared);
  return {seen.least_busy, seen.least_busy == kNoLane && !seen.coming};
}

std::size_t shared_lanes(std::size_t reads, Clock::duration each, const PipelineLimits& limits) noexcept {
  if (reads == 0) return 1;
  return 1 + std::max((reads - 1) / limits.company, static_cast<std::size_t>(times(reads, each) / limits.holds));
}

Choice lane_for_write(std::span<const Lane> lanes, bool may_dial) noexcept {
  const Seen seen = look(lanes, lanes.size());
  if (seen.least_busy != kNoLane && lanes[static_cast<std::size_t>(seen.least_busy)].in_flight == 0) return {seen.least_busy, false};
  if (seen.coming) return {};
  return may_dial ? Choice{kNoLane, true} : Choice{seen.least_busy, false};
}

}  // namespace sluice::sql::cluster
