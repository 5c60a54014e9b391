#include "handlers/sql/cluster/health.h"

#include <algorithm>

namespace sluice::sql::cluster {

void Health::answered_probe(double ms, Clock::time_point now) noexcept {
  if (state_ == State::down) {
    state_ = State::up;
    failures_ = 0;
    latency_ms_ = 0;  // how long it was away is no latency
    return;
  }
  latency_ms_ = latency_ms_ == 0 ? ms : latency_ms_ * 0.9 + ms * 0.1;
  if (state_ == State::ejected && now >= until_) {
    state_ = State::trial;
    trying_ = false;
  }
}

void Health::unreachable() noexcept { state_ = State::down; }

void Health::silent() noexcept { state_ = State::down; }

void Health::no_connection(Clock::time_point now) noexcept {
  if (state_ == State::up || state_ == State::trial) eject(now);
}

void Health::call_sent() noexcept {
  if (state_ == State::trial) trying_ = true;
}

void Health::call_ended(bool ok, double ms, double others_ms, Clock::time_point now) noexcept {
  if (ok) latency_ms_ = latency_ms_ == 0 ? ms : latency_ms_ * 0.9 + 0.1 * std::min(ms, std::max(limits_.slow_from_ms, limits_.slow_factor * latency_ms_));
  const bool slow = ok && others_ms > 0 && latency_ms_ > limits_.slow_from_ms && latency_ms_ > limits_.slow_factor * others_ms;
  if (state_ == State::trial) {
    trying_ = false;
    // What it was ejected for must not eject it again by memory alone.
    if (ok) latency_ms_ = ms;
    if (!ok || (ms > limits_.slow_from_ms && ms > limits_.slow_factor * others_ms && others_ms > 0)) return eject(now);
    state_ = State::up;
    failures_ = in_a_row_ = 0;
    return;
  }
  if (state_ != State::up) return;
  failures_ = ok ? 0 : failures_ + 1;
  if (slow || failures_ >= limits_.failures) eject(now);
}

void Health::eject(Clock::time_point now) noexcept {
  state_ = State::ejected;
  ++ejections_;
  const auto pause = std::min(limits_.last_ejection, limits_.first_ejection * (1 << std::min(in_a_row_, 10)));
  ++in_a_row_;
  failures_ = 0;
  until_ = now + pause;
}

}  // namespace sluice::sql::cluster
