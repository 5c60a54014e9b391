#include "rpc/fair_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace sluice {
namespace {

std::string served(FairQueue<std::string>& queue) {
  std::string all;
  while (!queue.empty()) all += queue.pop() + " ";
  return all;
}

TEST(FairQueue, KeepsTheOrderOfOneParty) {
  FairQueue<std::string> queue;
  for (const char* name : {"a1", "a2", "a3"}) queue.push(1, name);
  EXPECT_EQ(queue.front(), "a1");
  EXPECT_EQ(served(queue), "a1 a2 a3 ");
}

TEST(FairQueue, ServesThePartiesInTurn) {
  FairQueue<std::string> queue;
  for (const char* name : {"a1", "a2", "a3", "a4"}) queue.push(1, name);
  queue.push(2, "b1");
  queue.push(3, "c1");
  queue.push(2, "b2");
  EXPECT_EQ(served(queue), "a1 b1 c1 a2 b2 a3 a4 ");
}

TEST(FairQueue, WhoComesToALongLineOfAnotherWaitsForOneOfIt) {
  FairQueue<std::string> queue;
  for (int i = 0; i < 500; ++i) queue.push(1, "greedy");
  queue.pop();
  queue.push(2, "modest");
  EXPECT_EQ(queue.pop(), "greedy");
  EXPECT_EQ(queue.pop(), "modest");
}

TEST(FairQueue, TellsHowManyGoBefore) {
  FairQueue<std::string> queue;
  EXPECT_EQ(queue.ahead(1), 0u);
  for (int i = 0; i < 10; ++i) queue.push(1, "a");
  EXPECT_EQ(queue.ahead(1), 10u);
  EXPECT_EQ(queue.ahead(2), 1u);
  for (int i = 0; i < 3; ++i) queue.push(2, "b");
  EXPECT_EQ(queue.ahead(2), 7u);
  EXPECT_EQ(queue.ahead(1), 13u);
  EXPECT_EQ(queue.ahead(3), 2u);
}

TEST(FairQueue, FindsOneThatIsWanted) {
  FairQueue<std::string> queue;
  for (const char* name : {"a1", "a2"}) queue.push(1, name);
  queue.push(2, "b1");
  EXPECT_EQ(queue.take_first([](const std::string& one) { return one == "b1"; }), "b1");
  EXPECT_EQ(queue.take_first([](const std::string& one) { return one == "a2"; }), "a2");
  EXPECT_EQ(queue.take_first([](const std::string& one) { return one == "a2"; }), std::nullopt);
  EXPECT_EQ(queue.parties(), 1u);
  EXPECT_EQ(served(queue), "a1 ");
}

TEST(FairQueue, FindsAllThatAreWanted) {
  FairQueue<std::string> queue;
  for (const char* name : {"a1", "a-", "a2", "a-"}) queue.push(1, name);
  queue.push(2, "b-");
  queue.push(3, "c1");
  const auto wanted = [](const std::string& name) { return name.ends_with('-'); };
  EXPECT_EQ(queue.take_all(wanted), (std::vector<std::string>{"a-", "a-", "b-"}));
  EXPECT_EQ(queue.parties(), 2u);
  EXPECT_TRUE(queue.take_all(wanted).empty());
  EXPECT_EQ(served(queue), "a1 c1 a2 ");
}

TEST(FairQueue, HoldsWhatCanOnlyBeMovedAndIsUsedAnew) {
  FairQueue<std::unique_ptr<int>> queue;
  for (int turn = 0; turn < 3; ++turn) {
    for (int i = 0; i < 1000; ++i) queue.push(static_cast<std::uint64_t>(i), std::make_unique<int>(i));
    EXPECT_EQ(queue.parties(), 1000u);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(*queue.pop(), i);
    EXPECT_EQ(queue.parties(), 0u);
  }
}

}  // namespace
}  // namespace sluice
