// Who fails waits, longer each time, and is forgotten in the end.

#include "gateway/access/slowdown.h"

#include <gtest/gtest.h>

namespace sluice::access {
namespace {

using std::chrono::milliseconds;

const Slowdown::Limits kLimits{.free = 2, .first = milliseconds(100), .most = milliseconds(500), .forgotten = milliseconds(10'000), .entries = 3};
const Clock::time_point kStart = Clock::now();

TEST(Slowdown, WaitsAfterTheFreeFailuresAndDoublesUpToTheMost) {
  Slowdown slowdown(kLimits);
  for (const int expected : {0, 0, 100, 200, 400, 500, 500}) {
    slowdown.failed("a", kStart);
    EXPECT_EQ(slowdown.wait("a", kStart), milliseconds(expected));
  }
  EXPECT_EQ(slowdown.wait("b", kStart), milliseconds(0));
  EXPECT_EQ(slowdown.wait("a", kStart + milliseconds(499)), milliseconds(1));
  EXPECT_EQ(slowdown.wait("a", kStart + milliseconds(500)), milliseconds(0));
}

TEST(Slowdown, ForgetsOnSuccessAndAfterAWhile) {
  Slowdown slowdown(kLimits);
  for (int i = 0; i < 3; ++i) slowdown.failed("a", kStart);
  slowdown.succeeded("a");
  EXPECT_EQ(slowdown.wait("a", kStart), milliseconds(0));
  for (int i = 0; i < 3; ++i) slowdown.failed("b", kStart);
  slowdown.failed("b", kStart + milliseconds(10'001));
  EXPECT_EQ(slowdown.wait("b", kStart + milliseconds(10'001)), milliseconds(0));
}

TEST(Slowdown, KeepsSoManyAndDropsTheOneThatHasToWaitLeast) {
  Slowdown slowdown(kLimits);
  for (int i = 0; i < 5; ++i) slowdown.failed("worst", kStart);
  for (const char* who : {"b", "c", "d", "e", "f"}) slowdown.failed(who, kStart);
  EXPECT_EQ(slowdown.size(), 3U);
  EXPECT_GT(slowdown.wait("worst", kStart), milliseconds(0));
}

}  // namespace
}  // namespace sluice::access
