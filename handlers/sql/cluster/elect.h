#pragma once
// Which node takes the writes: a pure function of what the nodes say of themselves.

#include <span>

#include "handlers/sql/cluster/engine.h"

namespace sluice::sql::cluster {

struct Claim {
  bool reachable = false;
  const Report* report = nullptr;  // nullptr: nothing is known yet
};

// Of the reachable nodes that say they are primary. The one there is stays, unless another carries on its history on a newer timeline: a
// primary that came back after a promotion is refused, and so is one on an older timeline than `newest` that was ever seen. -1: none.
int elect(std::span<const Claim>, int current, std::uint32_t newest_origin, bool origins_are_timelines);

}  // namespace sluice::sql::cluster
