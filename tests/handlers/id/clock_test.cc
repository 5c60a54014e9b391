#include "handlers/id/clock.h"

#include <gtest/gtest.h>

#include <chrono>

namespace sluice::id {
namespace {

constexpr std::int64_t kHour = 3'600'000;

TEST(LogicalTime, FollowsTheWallClock) {
  LogicalTime time;
  time.start(1'000'000, 50);
  EXPECT_EQ(time.read(1'000'100, 150), 1'000'100);
  EXPECT_EQ(time.lead(), 0);
}

TEST(LogicalTime, NeverFollowsAStepBack) {
  for (const std::int64_t step : {std::int64_t{5}, std::int64_t{5000}, kHour, 48 * kHour}) {
    LogicalTime time;
    time.start(1'000'000'000, 0);
    std::int64_t last = 1'000'000'000;
    for (std::int64_t boot = 100; boot < 10'000; boot += 100) {
      const std::int64_t now = time.read(1'000'000'000 + boot - step, boot);
      EXPECT_GE(now, last);
      last = now;
    }
  }
}

TEST(LogicalTime, LetsTheWallClockCatchUp) {
  LogicalTime time;
  time.start(1'000'000, 0);
  std::int64_t boot = 0;
  for (; boot < 9000; boot += 100) time.read(1'000'000 + boot - 1000, boot);
  EXPECT_EQ(time.lead(), 0) << "a second is made good within eight";
}

TEST(LogicalTime, TakesAStepForwardUpToALimit) {
  LogicalTime time;
  time.start(1'000'000, 0);
  EXPECT_EQ(time.read(1'000'000 + 60'000 + 10, 10), 1'060'010);
  EXPECT_FALSE(time.leapt());
  EXPECT_EQ(time.read(1'060'010 + 2 * kHour, 20), 1'060'020);
  EXPECT_TRUE(time.leapt());
  EXPECT_EQ(time.lead(), 10 - 2 * kHour);
}

TEST(LogicalTime, GoesOnFromWhereItWasRaisedTo) {
  LogicalTime time;
  time.start(1'000'000, 0);
  time.raise(1'003'000);
  EXPECT_EQ(time.now(), 1'003'000);
  EXPECT_EQ(time.lead(), 3000);
  time.raise(1'000'000);
  EXPECT_EQ(time.now(), 1'003'000);
  EXPECT_EQ(time.read(1'000'800, 800), 1'003'700);
}

TEST(LogicalClock, IsNearTheWallClock) {
  LogicalClock clock;
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(static_cast<double>(clock.now_ms()), static_cast<double>(wall), 1000);
  clock.raise(wall + 5000);
  EXPECT_GE(clock.now_ms(), wall + 4990);
  EXPECT_GT(clock.lead_ms(), 4000);
}

}  // namespace
}  // namespace sluice::id
