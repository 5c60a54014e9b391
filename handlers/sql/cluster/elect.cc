#include "handlers/sql/cluster/elect.h"

namespace sluice::sql::cluster {

int elect(std::span<const Claim> claims, int current, std::uint32_t newest_origin, bool origins_are_timelines) {
  int best = -1;
  auto eligible = [&](int i) {
    const Claim& claim = claims[static_cast<std::size_t>(i)];
    return claim.reachable && claim.report && claim.report->primary && (!origins_are_timelines || claim.report->origin >= newest_origin);
  };
  for (int i = 0; i < static_cast<int>(claims.size()); ++i) {
    if (!eligible(i)) continue;
    if (best < 0) {
      best = i;
      continue;
    }
    const Report &mine = *claims[static_cast<std::size_t>(i)].report, &theirs = *claims[static_cast<std::size_t>(best)].report;
    const bool newer = origins_are_timelines && mine.origin != theirs.origin ? mine.origin > theirs.origin : i == current || (best != current && !reached(theirs.at, mine.at));
    if (newer) best = i;
  }
  return best;
}

}  // namespace sluice::sql::cluster
