#pragma once
// ServerClock: what the leader's wall clock may show now, told from changes that were written: each says at which of its
// milliseconds it happened, and lies between the instants when it left us and when its answer came.

#include <cstdint>
#include <optional>

#include "rpc/boot_clock.h"

namespace sluice::zookeeper {

class ServerClock {
 public:
  using Instant = BootClock::time_point;

  void learn(Instant sent, Instant received, std::int64_t server_ms);
  void forget() { offset_.reset(); }
  bool knows(Instant now) const;                // only then:
  std::int64_t earliest_ms(Instant now) const;  // the leader's clock shows no less ...
  std::int64_t latest_ms(Instant now) const;    // ... and no more
  bool closely(Instant now) const;              // knows it, to within 50 ms

 private:
  struct Offset {
    std::int64_t least, most;  // of the server's milliseconds less ours, at the instant `at`
    Instant at;
  };
  std::optional<Offset> offset_;
};

}  // namespace sluice::zookeeper
