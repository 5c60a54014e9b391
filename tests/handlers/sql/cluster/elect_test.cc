#include "handlers/sql/cluster/elect.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::sql::cluster {
namespace {

Report primary(std::uint32_t timeline, std::uint64_t lsn = 10) {
  Report report;
  report.primary = true;
  report.origin = timeline;
  report.at = {"a", {{0, timeline, lsn}}};
  return report;
}

struct Row {
  const char* says;
  std::vector<std::pair<bool, Report>> nodes;  // reachable?
  int current;
  std::uint32_t newest;
  int expected;
};

TEST(Elect, the_primary_is_who_the_table_says) {
  const Report replica;
  const std::vector<Row> rows{
      {"the only one", {{true, primary(1)}, {true, replica}}, -1, 0, 0},
      {"nobody", {{true, replica}, {true, replica}}, -1, 0, -1},
      {"one that cannot be reached", {{false, primary(1)}, {true, replica}}, 0, 1, -1},
      {"a promoted replica", {{false, primary(1)}, {true, primary(2)}}, 0, 1, 1},
      {"a newer timeline beside the old primary", {{true, primary(1, 99)}, {true, primary(2)}}, 0, 1, 1},
      {"an old primary that came back", {{true, primary(1)}, {true, primary(2)}}, 1, 2, 1},
      {"an old primary alone is refused", {{true, primary(1)}, {false, primary(2)}}, 1, 2, -1},
      {"the current one stays among equals", {{true, primary(1)}, {true, primary(1, 99)}}, 0, 1, 0},
      {"at first sight the one with more history", {{true, primary(1)}, {true, primary(1, 99)}}, -1, 0, 1},
  };
  for (const Row& row : rows) {
    std::vector<Claim> claims;
    for (const auto& [reachable, report] : row.nodes) claims.push_back({reachable, &report});
    EXPECT_EQ(elect(claims, row.current, row.newest, true), row.expected) << row.says;
  }
}

TEST(Elect, server_ids_are_no_order) {
  const Report a = primary(7), b = primary(3);
  const std::vector<Claim> claims{{true, &a}, {true, &b}};
  EXPECT_EQ(elect(claims, 1, 9, false), 1);
  EXPECT_EQ(elect(claims, 0, 9, false), 0);
}

}  // namespace
}  // namespace sluice::sql::cluster
