#include "handlers/sql/cluster/lag.h"

#include <gtest/gtest.h>

namespace sluice::sql::cluster {
namespace {

using std::chrono::milliseconds;

Position at(std::uint64_t lsn) { return {"a", {{0, 1, lsn}}}; }

TEST(Lag, is_the_time_since_the_primary_has_something_that_the_replica_lacks) {
  Lag lag;
  const Clock::time_point start{};
  lag.primary_at(at(10), start);
  lag.primary_at(at(20), start + milliseconds(100));
  lag.primary_at(at(30), start + milliseconds(200));
  const auto now = start + milliseconds(250);
  EXPECT_EQ(lag.behind_ms(at(30), now), 0);
  EXPECT_DOUBLE_EQ(lag.behind_ms(at(25), now), 50);
  EXPECT_DOUBLE_EQ(lag.behind_ms(at(20), now), 50);
  EXPECT_DOUBLE_EQ(lag.behind_ms(at(15), now), 150);
  EXPECT_DOUBLE_EQ(lag.behind_ms(at(5), now), 250);
}

TEST(Lag, an_idle_primarys_replica_is_not_behind) {
  Lag lag;
  const Clock::time_point start{};
  for (int i = 0; i < 100; ++i) lag.primary_at(at(10), start + i * milliseconds(100));
  EXPECT_EQ(lag.behind_ms(at(10), start + milliseconds(10'000)), 0);
}

TEST(Lag, another_systems_position_is_behind_everything) {
  Lag lag;
  lag.primary_at(at(10), Clock::time_point{});
  EXPECT_GT(lag.behind_ms({"b", {{0, 1, 99}}}, Clock::time_point{} + milliseconds(7)), 6);
}

TEST(Position, is_reached_by_domain_and_only_rises) {
  Position position{"a", {{0, 1, 10}, {5, 2, 7}}};
  EXPECT_TRUE(reached(position, {"a", {{0, 3, 10}}}));
  EXPECT_FALSE(reached(position, {"a", {{0, 1, 11}}}));
  EXPECT_FALSE(reached(position, {"a", {{6, 1, 1}}})) << "a domain that it knows nothing of";
  EXPECT_FALSE(reached(position, {"b", {{0, 1, 1}}}));
  raise(position, {"a", {{0, 1, 8}, {6, 1, 1}}});
  EXPECT_TRUE(reached(position, {"a", {{0, 1, 10}, {6, 1, 1}}}));
  raise(position, {"b", {{0, 1, 1}}});
  EXPECT_EQ(position, (Position{"b", {{0, 1, 1}}}));
}

}  // namespace
}  // namespace sluice::sql::cluster
