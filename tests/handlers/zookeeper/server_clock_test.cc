#include "handlers/zookeeper/server_clock.h"

#include <gtest/gtest.h>

namespace sluice::zookeeper {
namespace {

ServerClock::Instant at(std::int64_t ms) { return ServerClock::Instant(std::chrono::milliseconds(ms)); }

TEST(ServerClock, KnowsNothingBeforeAWriteWasAnswered) {
  ServerClock clock;
  EXPECT_FALSE(clock.knows(at(0)));
  clock.learn(at(100), at(104), 5002);
  EXPECT_TRUE(clock.knows(at(104)));
  clock.forget();
  EXPECT_FALSE(clock.knows(at(104)));
}

TEST(ServerClock, TheTruthLiesBetweenItsBounds) {
  // The server is 4900 ms ahead; the write happened anywhere on the way.
  for (const std::int64_t happened : {100, 107, 120}) {
    ServerClock clock;
    clock.learn(at(100), at(120), happened + 4900);
    EXPECT_LE(clock.earliest_ms(at(120)), 120 + 4900);
    EXPECT_GE(clock.latest_ms(at(120)), 120 + 4900);
    EXPECT_LE(clock.latest_ms(at(120)) - clock.earliest_ms(at(120)), 26);
  }
}

TEST(ServerClock, AQuickAnswerIsKeptThroughSlowOnes) {
  ServerClock clock;
  clock.learn(at(100), at(101), 5000);
  const auto width = [&](std::int64_t now) { return clock.latest_ms(at(now)) - clock.earliest_ms(at(now)); };
  clock.learn(at(200), at(400), 5200);
  EXPECT_LE(width(400), 8);
  EXPECT_LE(width(10'000), 30);  // it grows vaguer with age
}

TEST(ServerClock, ASlowAnswerTellsItButNotClosely) {
  ServerClock clock;
  clock.learn(at(100), at(700), 5000);
  EXPECT_TRUE(clock.knows(at(700)));
  EXPECT_FALSE(clock.closely(at(700)));
  clock.learn(at(800), at(802), 5401);
  EXPECT_TRUE(clock.closely(at(802)));
  EXPECT_FALSE(clock.closely(at(802 + 20'000)));
}

TEST(ServerClock, AStepOfTheServersClockIsBelieved) {
  ServerClock clock;
  clock.learn(at(100), at(101), 5000);
  clock.learn(at(200), at(210), 9000);
  EXPECT_GE(clock.latest_ms(at(210)), 9000);
  EXPECT_GE(clock.earliest_ms(at(210)), 8990);
  EXPECT_FALSE(clock.knows(at(210 + 20'000)));
}

}  // namespace
}  // namespace sluice::zookeeper
