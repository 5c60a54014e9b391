#include "handlers/sql/cluster/lag.h"

#include <algorithm>

namespace sluice::sql::cluster {
namespace {

constexpr std::chrono::milliseconds kGrain{5};
constexpr std::chrono::seconds kKept{60};

}  // namespace

void Lag::primary_at(const Position& at, Clock::time_point now) {
  if (!samples_.empty() && reached(samples_.back().at, at)) return;  // nothing new
  if (samples_.size() > 1 && now - samples_[samples_.size() - 2].when < kGrain)
    samples_.back().at = at;  // the earlier time stands: lag is told too high rather than too low
  else
    samples_.push_back({now, at});
  while (samples_.size() > 2 && now - samples_.front().when > kKept) samples_.pop_front();
}

double Lag::behind_ms(const Position& at, Clock::time_point now) const {
  // Positions only rise: the first that the node lacks.
  const auto missing = std::ranges::partition_point(samples_, [&at](const Sample& sample) { return reached(at, sample.at); });
  if (missing == samples_.end()) return 0;
  return std::max(0.001, std::chrono::duration<double, std::milli>(now - missing->when).count());
}

}  // namespace sluice::sql::cluster
