#include "handlers/sql/cluster/route.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace sluice::sql::cluster {
namespace {

Candidate primary() { return {.usable = true, .primary = true, .fresh = true}; }
Candidate replica(double latency_ms = 1, std::size_t in_flight = 0, double lag_ms = 0, bool fresh = true) {
  return {.usable = true, .fresh = fresh, .lag_ms = lag_ms, .in_flight = in_flight, .latency_ms = latency_ms};
}
Candidate gone(Candidate node) {
  node.usable = false;
  return node;
}

struct Row {
  const char* says;
  std::vector<Candidate> nodes;
  Demand demand;
  int expected;
};

TEST(Route, goes_where_the_table_says) {
  const std::vector<Row> rows{
      {"a replica takes a read", {primary(), replica()}, {}, 1},
      {"the switch keeps it at the primary", {primary(), replica()}, {.may_leave_primary = false}, 0},
      {"without replicas it is the primary's", {primary()}, {}, 0},
      {"a replica that is gone takes nothing", {primary(), gone(replica())}, {}, 0},
      {"a primary that is gone leaves reads to replicas", {gone(primary()), replica()}, {}, 1},
      {"nobody at all", {gone(primary()), gone(replica())}, {}, kNobody},
      {"what must be at the primary waits for it", {gone(primary()), replica()}, {.may_leave_primary = false}, kNobody},
      {"only the fresh one", {primary(), replica(1, 0, 0, false), replica(9, 9)}, {.must_be_fresh = true}, 2},
      {"no fresh one", {primary(), replica(1, 0, 0, false)}, {.must_be_fresh = true}, 0},
      {"a limit of lag", {primary(), replica(1, 0, 500), replica(9, 9, 20)}, {.max_lag_ms = 100}, 2},
      {"no limit of lag", {primary(), replica(1, 0, 5e6)}, {}, 1},
      {"the faster of two", {primary(), replica(8), replica(1)}, {}, 2},
      {"the less busy of two", {primary(), replica(1, 7), replica(1, 1)}, {}, 2},
  };
  for (const Row& row : rows)
    for (std::uint64_t random : {0ull, 1ull, 7ull << 32, ~0ull}) EXPECT_EQ(choose(row.nodes, row.demand, random), row.expected) << row.says;
}

TEST(Route, weighs_nodes_and_leaves_those_of_no_weight_alone) {
  auto heavy = replica(1, 3), light = replica(1, 3), none = replica();
  heavy.weight = 4;
  none.weight = 0;
  for (std::uint64_t random : {0ull, 1ull, 1ull << 32}) EXPECT_EQ(choose(std::vector{primary(), light, heavy, none}, {}, random), 2);
}

TEST(Route, equal_replicas_share_the_reads) {
  const std::vector nodes{primary(), replica(), replica(), replica()};
  std::map<int, int> taken;
  std::uint64_t random = 1;
  for (int i = 0; i < 3000; ++i) ++taken[choose(nodes, {}, random = random * 6364136223846793005u + 1442695040888963407u)];
  for (int i = 1; i <= 3; ++i) EXPECT_GT(taken[i], 700);
}

}  // namespace
}  // namespace sluice::sql::cluster
