#include "handlers/id/segment.h"

#include <gtest/gtest.h>

namespace sluice::id {
namespace {

TEST(Buffers, GiveTheirNumbersOnceInOrder) {
  Buffers buffers;
  std::int64_t number = 0;
  EXPECT_FALSE(buffers.take(number));
  ASSERT_TRUE(buffers.fill({100, 3, 10, 1000}));
  ASSERT_TRUE(buffers.fill({500, 2, 10, 1000}));
  ASSERT_TRUE(buffers.fill({900, 1, 10, 1000}));
  EXPECT_FALSE(buffers.fill({990, 2, 10, 1000}));
  for (const std::int64_t expected : {100, 110, 120, 500, 510, 900}) {
    ASSERT_TRUE(buffers.take(number));
    EXPECT_EQ(number, expected);
  }
  EXPECT_FALSE(buffers.take(number));
  EXPECT_EQ(buffers.taken(), 6);
}

TEST(Buffers, GiveManyAcrossBothSegmentsOrNone) {
  Buffers buffers;
  buffers.fill({1, 10, 1, 1000});
  buffers.fill({51, 10, 1, 1000});
  Buffers::Rows rows;
  EXPECT_FALSE(buffers.take(21, rows));
  EXPECT_TRUE(rows.empty());
  ASSERT_TRUE(buffers.take(15, rows));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].first, 1);
  EXPECT_EQ(rows[0].count, 10);
  EXPECT_EQ(rows[1].first, 51);
  EXPECT_EQ(rows[1].count, 5);
  EXPECT_EQ(buffers.left(), 5);
}

TEST(Buffers, AreLowFromATenthOfTheLastSegmentOn) {
  Buffers buffers;
  EXPECT_TRUE(buffers.low());
  buffers.fill({1, 100, 1, 1000});
  Buffers::Rows rows;
  buffers.take(9, rows);
  EXPECT_FALSE(buffers.low());
  buffers.take(1, rows);
  EXPECT_TRUE(buffers.low());
  buffers.fill({1001, 100, 1, 1000});
  EXPECT_FALSE(buffers.low());
}

TEST(Step, FollowsTheRate) {
  const struct {
    std::int64_t now, used, lasted_ms, expected;
  } cases[] = {
      {1000, 1000, 10'000, 1000},               // as wanted
      {1000, 1000, 5'000, 2000},                // twice as fast
      {1000, 1000, 1, 8000},                    // a burst: eightfold at most
      {1000, 1000, 0, 8000},
      {64'000, 64'000, 600'000, 32'000},        // slow: half at most
      {1000, 1000, 600'000, 1000},              // never below the tag's own
      {8'000'000, 8'000'000, 1, Step::kMost},   // never above the bound
  };
  for (const auto& each : cases) {
    Step step{1000, each.now};
    step.adapt(each.used, each.lasted_ms);
    EXPECT_EQ(step.now, each.expected) << each.now << " " << each.lasted_ms;
  }
}

}  // namespace
}  // namespace sluice::id
