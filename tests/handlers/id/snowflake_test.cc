#include "handlers/id/snowflake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

namespace sluice::id {
namespace {

using Refusal = Snowflake::Refusal;
constexpr std::int64_t kNow = 1000;

TEST(Snowflake, GivesNothingBeforeAWorkerWasAppointed) {
  Snowflake ids{Layout{}};
  EXPECT_EQ(ids.take(1, kNow, 250, false).refusal, Refusal::mark);
  EXPECT_EQ(ids.take(1, 0, 250, true).refusal, Refusal::mark);
}

TEST(Snowflake, CountsWithinATickAndGoesOnWithTheTime) {
  Snowflake ids{Layout{}};
  ids.appoint(3, kNow, kNow + 3000, kNow + 1500);
  EXPECT_EQ(ids.id(ids.take(1, kNow, 0, false).block, 0), Layout{}.id(kNow, 3, 0));
  EXPECT_EQ(ids.id(ids.take(1, kNow, 0, false).block, 0), Layout{}.id(kNow, 3, 1));
  EXPECT_EQ(ids.id(ids.take(1, kNow + 9, 0, false).block, 0), Layout{}.id(kNow + 9, 3, 0));
  EXPECT_EQ(ids.id(ids.take(1, kNow - 5000, 6000, false).block, 0), Layout{}.id(kNow + 9, 3, 1)) << "the time went back";
}

TEST(Snowflake, BlocksRunOverTicksInOrder) {
  Snowflake ids{Layout{}};
  ids.appoint(3, kNow, kNow + 3000, kNow + 1500);
  const auto taken = ids.take(10'000, kNow, 250, false);
  ASSERT_FALSE(taken.refusal);
  for (std::int64_t i = 1; i < 10'000; ++i) ASSERT_LT(ids.id(taken.block, i - 1), ids.id(taken.block, i));
  EXPECT_EQ(ids.id(taken.block, 4096), Layout{}.id(kNow + 1, 3, 0));
  EXPECT_EQ(ids.id(ids.take(1, kNow, 250, false).block, 0), Layout{}.id(kNow + 2, 3, 10'000 - 8192));
}

TEST(Snowflake, IsAheadOfTheTimeByTheBoundAtMost) {
  Snowflake ids{Layout{}};
  ids.appoint(0, kNow, kNow + 3000, kNow + 1500);
  EXPECT_FALSE(ids.take(4096 * 251, kNow, 250, false).refusal);
  EXPECT_EQ(ids.take(1, kNow, 250, false).refusal, Refusal::ahead);
  EXPECT_FALSE(ids.take(1, kNow + 1, 250, false).refusal);
}

TEST(Snowflake, GivesNothingAtOrAboveTheLimit) {
  Snowflake ids{Layout{}};
  ids.appoint(0, kNow, kNow + 2, kNow + 1);
  EXPECT_EQ(ids.take(2 * 4096 + 1, kNow, 250, false).refusal, Refusal::mark);
  EXPECT_TRUE(ids.take(4096, kNow, 250, false).low);
  EXPECT_FALSE(ids.take(4096, kNow, 250, false).refusal);
  EXPECT_EQ(ids.take(1, kNow, 250, true).refusal, Refusal::mark);
  ids.extend(kNow + 3, kNow + 2);
  EXPECT_FALSE(ids.take(1, kNow, 250, false).refusal);
}

TEST(Snowflake, GivesLeftoversOnlyWhenAsked) {
  Snowflake ids{Layout{}};
  ids.appoint(0, kNow, kNow + 10, kNow + 5);
  EXPECT_EQ(ids.take(1, kNow + 100, 250, false).refusal, Refusal::mark);
  const auto taken = ids.take(1, kNow + 100, 250, true);
  ASSERT_FALSE(taken.refusal);
  EXPECT_EQ(ids.id(taken.block, 0), Layout{}.id(kNow, 0, 0));
  EXPECT_TRUE(taken.low);
}

TEST(Snowflake, ANewWorkerStartsAboveAllThatWasGiven) {
  Snowflake ids{Layout{}};
  ids.appoint(9, kNow, kNow + 3000, kNow + 1500);
  const auto before = ids.take(5000, kNow, 250, false);
  ids.appoint(2, kNow - 500, kNow + 4000, kNow + 1500);
  const auto after = ids.take(1, kNow, 250, false);
  EXPECT_GT(ids.id(after.block, 0), ids.id(before.block, 4999));
  EXPECT_EQ(after.block.worker, 2);
  EXPECT_EQ(ids.next_tick(), kNow + 3);
}

TEST(Snowflake, ThreadsNeverGetTheSameIdThoughWorkersChange) {
  constexpr int kThreads = 4, kBlocks = 20'000;
  Snowflake ids{Layout{}};
  ids.appoint(0, kNow, kNow + 1'000'000, kNow);
  std::vector<std::vector<std::int64_t>> given(kThreads);
  std::vector<std::thread> threads;
  std::atomic<bool> stop{false};
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kBlocks;) {
        const auto taken = ids.take(1 + i % 7, kNow, 10'000'000, false);
        if (taken.refusal) continue;
        ++i;
        for (std::int64_t k = 0; k < taken.block.count; ++k) given[static_cast<std::size_t>(t)].push_back(ids.id(taken.block, k));
      }
    });
  std::thread changer([&] {
    for (std::int64_t worker = 1; !stop; worker = (worker + 1) % 1024) {
      ids.appoint(worker, kNow, kNow + 1'000'000, kNow);
      std::this_thread::yield();
    }
  });
  for (auto& thread : threads) thread.join();
  stop = true;
  changer.join();
  std::vector<std::int64_t> all;
  for (const auto& each : given) {
    EXPECT_TRUE(std::ranges::is_sorted(each));
    all.insert(all.end(), each.begin(), each.end());
  }
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
}

}  // namespace
}  // namespace sluice::id
