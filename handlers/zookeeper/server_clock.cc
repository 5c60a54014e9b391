#include "handlers/zookeeper/server_clock.h"

#include <algorithm>

namespace sluice::zookeeper {
namespace {

constexpr std::chrono::milliseconds kOld{20'000};  // the leader's clock may have been set since
constexpr std::int64_t kCloseMs = 50;
constexpr std::int64_t kDriftPerMs = 1000;         // clocks part by less than a thousandth

std::int64_t ms(ServerClock::Instant at) { return at.time_since_epoch().count(); }
std::int64_t drift(std::chrono::milliseconds age) { return age.count() / kDriftPerMs + 1; }

}  // namespace

void ServerClock::learn(Instant sent, Instant received, std::int64_t server_ms) {
  // All three are cut down to whole milliseconds: what they stand for may be almost one more.
  const Offset fresh{server_ms - (ms(received) + 1), server_ms + 1 - ms(sent), received};
  if (knows(received)) {
    const std::int64_t more = drift(received - offset_->at);
    const bool agree = fresh.least <= offset_->most + more && fresh.most >= offset_->least - more;
    if (agree && fresh.most - fresh.least > offset_->most - offset_->least + 2 * more) return;  // the old one says it more closely
  }
  offset_ = fresh;
}

bool ServerClock::knows(Instant now) const { return offset_ && now - offset_->at < kOld; }

bool ServerClock::closely(Instant now) const { return knows(now) && latest_ms(now) - earliest_ms(now) <= kCloseMs; }

std::int64_t ServerClock::earliest_ms(Instant now) const { return ms(now) + offset_->least - drift(now - offset_->at); }
std::int64_t ServerClock::latest_ms(Instant now) const { return ms(now) + 1 + offset_->most + drift(now - offset_->at); }

}  // namespace sluice::zookeeper
