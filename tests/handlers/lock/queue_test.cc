// Who waits for which locks, and whose turn it is.

#include "handlers/lock/queue.h"

#include <gtest/gtest.h>

namespace sluice::lock {
namespace {

using Ids = std::vector<Queue::Id>;

TEST(Queue, ServesInTheOrderOfArrival) {
  Queue queue;
  for (Queue::Id id : {1, 2, 3}) queue.add(id, {"a"});
  EXPECT_EQ(queue.front("a"), 1u);
  EXPECT_EQ(queue.waiting("a"), 3u);
  EXPECT_EQ(queue.remove(1, {"a"}), Ids{2});
  EXPECT_EQ(queue.remove(3, {"a"}), Ids{});  // he gave up: nobody moves to the front by that
  EXPECT_EQ(queue.remove(2, {"a"}), Ids{});
  EXPECT_EQ(queue.front("a"), 0u);
  EXPECT_FALSE(queue.any_waits({"a"}));
}

TEST(Queue, SeveralNamesAreTakenWhenFirstInAll) {
  Queue queue;
  queue.add(1, {"a"});
  queue.add(2, {"a", "b"});
  queue.add(3, {"b"});
  EXPECT_FALSE(queue.is_front(2, {"a", "b"}));
  EXPECT_FALSE(queue.is_front(3, {"b"}));  // he does not overtake, though b is free
  EXPECT_EQ(queue.remove(1, {"a"}), Ids{2});
  EXPECT_TRUE(queue.is_front(2, {"a", "b"}));
  EXPECT_EQ(queue.remove(2, {"a", "b"}), Ids{3});
}

TEST(Queue, WhoeverCameFirstMayAlwaysAsk) {
  Queue queue;
  queue.add(1, {"b", "c"});
  queue.add(2, {"a", "b"});
  queue.add(3, {"a", "c"});
  for (Queue::Id id : {1, 2, 3}) {
    const std::vector<std::string> names = id == 1 ? std::vector<std::string>{"b", "c"} : id == 2 ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{"a", "c"};
    EXPECT_TRUE(queue.is_front(id, names));
    queue.remove(id, names);
  }
}

}  // namespace
}  // namespace sluice::lock
