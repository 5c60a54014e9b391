#pragma once
// Lag: how many milliseconds a replica is behind the primary: since when the primary has something that the replica has not. From what
// was seen of the primary's position over time, so that an idle primary's replicas are not "behind".

#include <deque>

#include "handlers/sql/position.h"
#include "rpc/clock.h"

namespace sluice::sql::cluster {

class Lag {
 public:
  // The primary was seen at `at`. Samples are kept for a minute, closer ones than 5 ms as one.
  void primary_at(const Position& at, Clock::time_point now);

  // At most so far behind: nothing newer than that is missing on a node at `at`. 0 when it has all that was seen of the primary.
  double behind_ms(const Position& at, Clock::time_point now) const;

  Clock::time_point last() const noexcept { return samples_.empty() ? Clock::time_point() : samples_.back().when; }
  const Position* newest() const noexcept { return samples_.empty() ? nullptr : &samples_.back().at; }
  void clear() { samples_.clear(); }  // another primary: other history

 private:
  struct Sample {
    Clock::time_point when;  // when the primary first had it, as far as we saw
    Position at;
  };
  std::deque<Sample> samples_;
};

}  // namespace sluice::sql::cluster
