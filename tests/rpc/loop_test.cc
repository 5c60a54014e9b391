#include "rpc/loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace sluice {
namespace {

using namespace std::chrono_literals;

TEST(Loop, RunsTasksFromOtherThreadsInOrder) {
  Loop loop;
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&seen, i] { seen.push_back(i); });
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  other.join();
  ASSERT_EQ(seen.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(Loop, FiresTimersInOrderAndNeverEarly) {
  Loop loop;
  std::vector<int> seen;
  Timer a(loop), b(loop), c(loop);
  const auto start = Clock::now();
  a.start(60ms, [&] {
    EXPECT_GE(Clock::now() - start, 60ms);
    seen.push_back(60);
    loop.stop();
  });
  b.start(20ms, [&] {
    EXPECT_GE(Clock::now() - start, 20ms);
    seen.push_back(20);
  });
  c.start(10ms, [&] { seen.push_back(10); });
  c.stop();
  loop.run();
  EXPECT_EQ(seen, (std::vector<int>{20, 60}));
}

TEST(Loop, ATimerThatOutlivesATurnOfTheWheelFiresOnce) {
  Loop loop;
  Timer slow(loop), other(loop);
  int fired = 0;
  slow.start(4200ms, [&] {  // the wheel turns in 4096 ms
    ++fired;
    loop.stop();
  });
  other.start(8ms, [] {});
  const auto start = Clock::now();
  loop.run();
  EXPECT_EQ(fired, 1);
  EXPECT_GE(Clock::now() - start, 4200ms);
}

TEST(Loop, ATimerMayStartItselfAnew) {
  Loop loop;
  Timer timer(loop);
  int count = 0;
  std::function<void()> again = [&] {
    if (++count == 3) return loop.stop();
    timer.start(1ms, again);
  };
  timer.start(0ms, again);
  loop.run();
  EXPECT_EQ(count, 3);
}

struct Pipe : Loop::Watcher {
  explicit Pipe(Loop& loop) : loop(loop) {
    EXPECT_EQ(::pipe(ends), 0);
    loop.watch(ends[0], EPOLLIN, *this);
  }
  ~Pipe() {
    close();
    ::close(ends[1]);
  }
  void close() {
    if (ends[0] < 0) return;
    loop.unwatch(ends[0], *this);
    ::close(std::exchange(ends[0], -1));
  }
  void on_ready(std::uint32_t) override { then(); }
  Loop& loop;
  int ends[2];
  std::function<void()> then;
};

TEST(Loop, AWatcherThatIsGoneHearsNothingMoreOfTheSameTurn) {
  Loop loop;
  Pipe first(loop), second(loop);
  int heard = 0;
  auto close_the_other = [&](Pipe& other) {
    ++heard;
    other.close();
    loop.stop();
  };
  first.then = [&] { close_the_other(second); };
  second.then = [&] { close_the_other(first); };
  ASSERT_EQ(::write(first.ends[1], "x", 1), 1);
  ASSERT_EQ(::write(second.ends[1], "x", 1), 1);
  loop.run();
  EXPECT_EQ(heard, 1);
}

TEST(Loop, RunsTurnEndHooksAfterTheTasksOfTheTurn) {
  struct Hook : Loop::TurnEnd {
    void on_turn_end() override { seen->push_back(2); }
    std::vector<int>* seen;
  } hook;
  Loop loop;
  std::vector<int> seen;
  hook.seen = &seen;
  loop.post([&] {
    loop.at_turn_end(hook);
    loop.post([&] {
      seen.push_back(3);
      loop.stop();
    });
  });
  loop.post([&] { seen.push_back(1); });
  loop.run();
  EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace sluice
