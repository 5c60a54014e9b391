#pragma once
// Heartbeat: when to send _zpc_hb on one channel, and when its peer is lost. A pure machine; the
// caller ticks it every `heartbeat_ms`.

#include <cstdint>

namespace sluice::zerorpc {

class Heartbeat {
 public:
  enum class Action : std::uint8_t { none, beat, lost };

  // A passive side waits for the peer's first _zpc_hb: it neither sends nor declares loss before.
  explicit Heartbeat(bool passive = false) noexcept : passive_(passive) {}

  // A _zpc_hb came. Nothing else counts as life, as in zerorpc-python: a peer may send data from one
  // thread while the one that holds the channel is dead.
  void heard() noexcept {
    silent_ = 0;
    passive_ = false;
  }

  // Three ticks in silence are a loss. That is Python's "more than two intervals since the last one",
  // whose clock starts at its own first tick, counted so that a late timer changes nothing.
  Action tick() noexcept {
    if (passive_) return Action::none;
    return ++silent_ >= 3 ? Action::lost : Action::beat;
  }

 private:
  bool passive_;
  int silent_ = 0;  // ticks since the last _zpc_hb
};

}  // namespace sluice::zerorpc
