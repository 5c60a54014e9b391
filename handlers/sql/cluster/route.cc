#include "handlers/sql/cluster/route.h"

#include <algorithm>

namespace sluice::sql::cluster {
namespace {

double cost(const Candidate& node) noexcept {
  // Below a millisecond it is the calls in flight that tell nodes apart: else the one that was a little faster once would get them all.
  const double latency = std::max(node.latency_ms, 1.0);
  return static_cast<double>(node.in_flight + 1) * latency / static_cast<double>(node.weight);
}

bool fits(const Candidate& node, const Demand& demand) noexcept {
  return node.usable && !node.primary && node.weight > 0 && (!demand.must_be_fresh || node.fresh) && (demand.max_lag_ms <= 0 || node.lag_ms <= demand.max_lag_ms);
}

}  // namespace

int choose(std::span<const Candidate> nodes, const Demand& demand, std::uint64_t random) noexcept {
  int primary = kNobody, fitting = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].primary && nodes[i].usable) primary = static_cast<int>(i);
    if (fits(nodes[i], demand)) ++fitting;
  }
  if (!demand.may_leave_primary || fitting == 0) return primary;
  // The random'th of the fitting ones, and another.
  const auto first = static_cast<int>(random % static_cast<std::uint64_t>(fitting));
  const auto second = fitting == 1 ? first : (first + 1 + static_cast<int>((random >> 32) % static_cast<std::uint64_t>(fitting - 1))) % fitting;
  int a = kNobody, b = kNobody;
  for (int i = 0, nth = 0; i < static_cast<int>(nodes.size()); ++i) {
    if (!fits(nodes[static_cast<std::size_t>(i)], demand)) continue;
    if (nth == first) a = i;
    if (nth == second) b = i;
    ++nth;
  }
  return cost(nodes[static_cast<std::size_t>(b)]) < cost(nodes[static_cast<std::size_t>(a)]) ? b : a;
}

}  // namespace sluice::sql::cluster
