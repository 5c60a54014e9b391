#pragma once
// Health: whether a node is given calls. A state machine on plain data: told what happened and what time it is, tested by a table.

#include "rpc/clock.h"

namespace sluice::sql::cluster {

class Health {
 public:
  struct Limits {
    std::chrono::milliseconds silent{300};          // a probe unanswered so long: the server hangs; with the pause between two, it is left within 500 ms
    std::chrono::milliseconds first_ejection{500};  // doubled each time, up to the last
    std::chrono::milliseconds last_ejection{4000};
    int failures = 3;                               // calls in a row that broke, for an ejection
    double slow_factor = 8;                         // times the others' latency, for an ejection
    double slow_from_ms = 50;                       // and at least so slow
  };
  explicit Health(Limits limits) : limits_(limits) {}

  enum class State : std::uint8_t { down, up, ejected, trial };
  State state() const noexcept { return state_; }
  // May it be given a call? Of a node on trial only one at a time.
  bool usable() const noexcept { return state_ == State::up || (state_ == State::trial && !trying_); }

  // A probe's time counts as a call's, at a little: else a node that was slow once would get no call to show that it is not any more.
  void answered_probe(double ms, Clock::time_point now) noexcept;
  void unreachable() noexcept;                       // no connection
  void silent() noexcept;                            // a probe was not answered in time
  void no_connection(Clock::time_point now) noexcept;  // for calls, though it answers probes
  void call_sent() noexcept;
  // One that took far longer than the others is an outlier; many are a change.
  void call_ended(bool ok, double ms, double others_ms, Clock::time_point now) noexcept;
  void call_given_up() noexcept { trying_ = false; }  // by us, for what it was

  double latency_ms() const noexcept { return latency_ms_; }
  int ejections() const noexcept { return ejections_; }
  const Limits& limits() const noexcept { return limits_; }

 private:
  void eject(Clock::time_point now) noexcept;

  Limits limits_;
  State state_ = State::down;
  bool trying_ = false;
  int failures_ = 0;
  int ejections_ = 0;
  int in_a_row_ = 0;  // ejections without a good call between
  double latency_ms_ = 0;
  Clock::time_point until_;
};

}  // namespace sluice::sql::cluster
