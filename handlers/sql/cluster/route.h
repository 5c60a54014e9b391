#pragma once
// Where a read goes: a pure function of what is known of the nodes. No sockets, no clock; its test is a table.

#include <cstdint>
#include <span>

namespace sluice::sql::cluster {

// A node as the choice sees it.
struct Candidate {
  bool usable = false;       // connected or about to be, and not ejected
  bool primary = false;      // the one that takes the writes
  bool fresh = false;        // known to have what the read asks for
  double lag_ms = 0;         // how far behind the primary, at worst
  std::size_t in_flight = 0;  // and waiting for a connection
  double latency_ms = 0;     // moving average of its answers
  std::int64_t weight = 1;   // 0: takes no reads
};

struct Demand {
  bool may_leave_primary = true;  // the switch, and what the caller allows
  bool must_be_fresh = false;     // only a node known to be fresh
  double max_lag_ms = 0;          // 0: any
};

inline constexpr int kNobody = -1;

// The replica with the least of (in flight x latency) / weight, out of two picked by `random`; the primary when no replica will do;
// kNobody when the primary is not usable either.
int choose(std::span<const Candidate>, const Demand&, std::uint64_t random) noexcept;

}  // namespace sluice::sql::cluster
