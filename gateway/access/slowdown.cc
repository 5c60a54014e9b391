#include "gateway/access/slowdown.h"

#include <algorithm>

namespace sluice::access {

using std::chrono::milliseconds;

milliseconds Slowdown::wait(const std::string& who, Clock::time_point now) const {
  const auto found = failures_.find(who);
  if (found == failures_.end() || found->second.until <= now) return milliseconds(0);
  return std::chrono::ceil<milliseconds>(found->second.until - now);
}

void Slowdown::failed(const std::string& who, Clock::time_point now) {
  if (!failures_.contains(who)) make_room(now);
  Failures& failures = failures_[who];
  if (failures.count > 0 && now - failures.last > limits_.forgotten) failures = {};
  failures.last = now;
  const int over = ++failures.count - limits_.free;
  if (over <= 0) return;
  milliseconds pause = limits_.first;
  for (int i = 1; i < over && pause < limits_.most; ++i) pause *= 2;
  failures.until = now + std::min(pause, limits_.most);
}

void Slowdown::make_room(Clock::time_point now) {
  if (failures_.size() < limits_.entries) return;
  std::erase_if(failures_, [&](const auto& entry) { return now - entry.second.last > limits_.forgotten; });
  if (failures_.size() < limits_.entries) return;
  failures_.erase(std::ranges::min_element(failures_, {}, [](const auto& entry) { return std::pair(entry.second.until, entry.second.last); }));
}

}  // namespace sluice::access
