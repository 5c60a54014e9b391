#pragma once
// Pipeline: how many calls one of a node's connections may hold, by what came back on it; and which connection the next call takes.
// Calls in one pipeline wait for each other, where nobody's turn comes earlier for being another's: so each holds no more than its
// connection does in a few milliseconds. No sockets, no clock; the tests are tables.

#include <cstddef>
#include <span>

#include "rpc/clock.h"

namespace sluice::sql::cluster {

struct PipelineLimits {
  std::chrono::microseconds holds{4000};  // of work, beyond the way there and back
  std::size_t company = 32;               // reads in one, before they share another that is open
  std::size_t unproven = 4;               // nor more than these and twice as many as were answered since it was idle: a burst may be all of slow ones
  std::chrono::milliseconds stalled{10};  // without an answer for so long, beyond that way, it runs something long: it gets no more
};

class Pipeline {
 public:
  // The connection is open, or a call of it has ended without an answer.
  void moved(Clock::time_point now) noexcept { progress_ = now; }
  // A call is sent, behind so many.
  void sends(std::size_t in_flight, Clock::time_point now, const PipelineLimits&) noexcept;

  // An answer came. `way`: what there and back takes without any work. Answers that one reading brought are told of together, of which the
  // first took the time of all: returned is what is complete by now, if anything is.
  struct Group {
    Clock::duration took{};
    std::size_t calls = 0;
  };
  Group answered(Clock::time_point sent, Clock::time_point now, Clock::duration way, const PipelineLimits&) noexcept;

  // Another call would wait there for too long. `each`: what a call takes.
  bool full(std::size_t in_flight, Clock::duration each, Clock::duration way, Clock::time_point now, const PipelineLimits&) const noexcept;

  // When something last came back, or it was idle; until it is open, when it was dialled.
  Clock::time_point progress() const noexcept { return progress_; }

 private:
  Clock::time_point progress_{};
  Group group_;             // the last answers
  std::size_t proven_ = 0;  // answers since it was idle
  bool slow_ = false;       // those took longer than it may hold, each on average: until quick ones come it is given one call at a time
};

// A connection as the choice sees it.
struct Lane {
  bool open = false;
  bool coming = false;  // it connects, and another that is dialled now would not be there sooner
  bool full = false;
  std::size_t in_flight = 0;
};
inline constexpr int kNoLane = -1;
struct Choice {
  int lane = kNoLane;
  bool dial = false;  // another connection would help, if there may be one
};

// Reads gain from company: they take turns on the first `shared` connections that are not full, and another is opened when all are.
Choice lane_for_read(std::span<const Lane>, std::size_t shared) noexcept;
// How many connections that is, with so many reads in flight.
std::size_t shared_lanes(std::size_t reads, Clock::duration each, const PipelineLimits&) noexcept;

// A write that commits waits for the disk, and connections wait side by side: it takes an idle one, or waits for the one that is coming,
// and shares one only where there may be no more (`may_dial`).
Choice lane_for_write(std::span<const Lane>, bool may_dial) noexcept;

}  // namespace sluice::sql::cluster
