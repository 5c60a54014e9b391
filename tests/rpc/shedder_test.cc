#include "rpc/shedder.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "rpc/fair_queue.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;
using Verdict = Shedder::Verdict;

// A queue, its servers and their callers, in a time of their own: calls of a fixed length, in steps of a hundred microseconds.
class Simulation {
 public:
  static constexpr auto kStep = 100us;

  Simulation(Shedder::Limits limits, std::size_t servers, Clock::duration service) : shedder(limits, servers), service_(service), free_(servers) {}

  Verdict ask(std::chrono::milliseconds timeout = 0ms, std::uint64_t party = 0) {
    const auto verdict = shedder.arrive(queue_, party == 0 ? ++stranger_ : party, timeout == 0ms ? kNoDeadline : now + timeout, now);
    if (verdict == Verdict::take)
      queue_.push(party == 0 ? stranger_ : party, now);
    else
      ++refused;
    return verdict;
  }

  void step() {
    now += kStep;
    for (auto& until : free_) {
      if (until > now) continue;
      if (until != Clock::time_point{}) {
        shedder.end(service_);
        ++served;
        until = {};
        if (answered) answered();
      }
      if (queue_.empty()) continue;
      const auto arrived = queue_.pop();
      waited = now - arrived;
      longest = std::max(longest, waited);
      shedder.start(waited, now);
      until = now + service_;
    }
  }

  // Calls come by the clock, whether or not they are answered.
  void open_loop(double per_step, Clock::duration span) {
    for (const auto end = now + span; now < end; step())
      for (owed_ += per_step; owed_ >= 1; --owed_) ask();
  }
  void idle(Clock::duration span) {
    for (const auto end = now + span; now < end;) step();
  }
  void forget() { refused = served = 0, longest = {}; }
  std::size_t waiting() const { return queue_.size(); }

  Shedder shedder;
  Clock::time_point now{1000h};
  std::size_t refused = 0, served = 0;
  Clock::duration waited{}, longest{};
  std::function<void()> answered;

 private:
  const Clock::duration service_;
  std::vector<Clock::time_point> free_;
  FairQueue<Clock::time_point> queue_;
  std::uint64_t stranger_ = 0;
  double owed_ = 0;
};

TEST(Shedder, RefusesBeyondTheBound) {
  Simulation s({.waiting = 10}, 1, 1ms);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(s.ask(), Verdict::take);
  EXPECT_EQ(s.ask(), Verdict::full);
}

TEST(Shedder, AtTwiceTheCapacityServesAllItCanAndKeepsTheWaitShort) {
  struct Case {
    Clock::duration service;
    std::size_t servers;
    double load;
  };
  for (const auto& [service, servers, load] : {Case{4ms, 2, 2}, Case{4ms, 1, 2}, Case{1ms, 2, 2}, Case{20ms, 2, 2}, Case{4ms, 2, 1.3}, Case{4ms, 2, 5}, Case{50ms, 4, 2}}) {
    SCOPED_TRACE(testing::Message() << service / 1us << " us, " << servers << " servers, load " << load);
    Simulation s({}, servers, service);
    const double capacity = static_cast<double>(servers) / (static_cast<double>(service / 1us) / 100);
    s.open_loop(load * capacity, 5s);
    EXPECT_TRUE(s.shedder.shedding());
    s.forget();
    s.open_loop(load * capacity, 5s);
    EXPECT_GE(static_cast<double>(s.served), 0.95 * capacity * 50'000);
    EXPECT_LE(s.longest, 2 * std::max<Clock::duration>(5ms, service));
    // It is over: nobody is refused any more, though calls come at nine tenths of what can be served.
    s.open_loop(0.9 * capacity, 3s);
    s.forget();
    s.open_loop(0.9 * capacity, 5s);
    EXPECT_EQ(s.refused, 0u);
  }
}

TEST(Shedder, AnIdleTimeEndsIt) {
  Simulation s({}, 2, 4ms);
  s.open_loop(0.1, 5s);
  ASSERT_TRUE(s.shedder.shedding());
  s.idle(200ms);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(s.ask(), Verdict::take);
}

TEST(Shedder, BelowTheCapacityRefusesNobody) {
  Simulation s({}, 2, 4ms);
  s.open_loop(0.95 * 0.05, 20s);
  EXPECT_EQ(s.refused, 0u);
}

TEST(Shedder, TakesABurstOfAnyLength) {
  Simulation s({}, 2, 4ms);
  for (int burst = 0; burst < 3; ++burst) {
    for (int i = 0; i < 2000; ++i) EXPECT_EQ(s.ask(), Verdict::take);
    s.idle(5s);
    EXPECT_EQ(s.waiting(), 0u);
  }
}

TEST(Shedder, CallersWhoAwaitEachAnswerAreServedHoweverManyTheyAre) {
  Simulation s({}, 2, 4ms);
  s.answered = [&] { s.ask(); };
  for (int i = 0; i < 500; ++i) s.ask();
  s.idle(20s);
  EXPECT_EQ(s.refused, 0u);
  EXPECT_GT(s.waited, 900ms);
}

TEST(Shedder, ZeroSwitchesItOff) {
  Simulation s({.target = 0ms}, 2, 4ms);
  s.open_loop(0.1, 5s);
  EXPECT_EQ(s.refused, 0u);
}

// The deadline.

TEST(Shedder, RefusesWhoseTimeWouldSurelyBeUp) {
  Simulation s({.target = 0ms}, 2, 4ms);
  s.open_loop(0.1, 1s);  // a second's work waits
  EXPECT_EQ(s.ask(100ms), Verdict::too_late);
  EXPECT_EQ(s.ask(800ms), Verdict::too_late);
  EXPECT_EQ(s.ask(1200ms), Verdict::take);
  EXPECT_EQ(s.ask(), Verdict::take);
}

TEST(Shedder, TakesThoseWithADeadlineInABurstAfterAnIdleTime) {
  Simulation s({}, 2, 4ms);
  s.open_loop(0.02, 1s);
  s.idle(10s);
  for (int i = 0; i < 500; ++i) ASSERT_EQ(s.ask(100ms), Verdict::take);
}

TEST(Shedder, AfterSlowCallsQuickOnesAreNotTakenForSlow) {
  Simulation s({.target = 0ms}, 1, 1ms);
  for (int i = 0; i < 100; ++i) s.shedder.end(500ms);
  s.idle(1s);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(s.ask(1000ms), Verdict::take);
  s.idle(45ms);
  EXPECT_EQ(s.ask(1000ms), Verdict::take);
}

TEST(Shedder, AfterOneVerySlowCallOthersAreNotTakenForSlow) {
  Simulation s({.target = 0ms}, 2, 4ms);
  s.open_loop(0.05, 1s);
  for (int i = 0; i < 50; ++i) s.ask();
  s.idle(60ms);
  s.shedder.end(30s);
  EXPECT_EQ(s.ask(1000ms), Verdict::take);
}

TEST(Shedder, LearnsThatAllHaveBecomeSlow) {
  Shedder shedder({}, 1);
  shedder.end(1ms);
  for (int i = 0; i < 30; ++i) shedder.end(1s);
  EXPECT_GT(shedder.each(), 500ms);
}

TEST(Shedder, WhoGoesBeforeTheOthersIsNotRefusedForThem) {
  Simulation s({.target = 0ms}, 2, 4ms);
  for (int i = 0; i < 500; ++i) s.ask(0ms, 1);
  s.idle(100ms);
  EXPECT_EQ(s.ask(100ms, 1), Verdict::too_late);
  EXPECT_EQ(s.ask(100ms, 2), Verdict::take);
}

TEST(Shedder, SaysWhenToTryAgain) {
  Simulation s({.waiting = 100}, 1, 10ms);
  for (int i = 0; i < 101; ++i) s.ask();
  s.idle(200ms);
  const Fault fault = s.shedder.fault(Verdict::full, "reads", "sqlite.reads_waiting", s.waiting());
  EXPECT_EQ(fault.kind(), Fault::Kind::overloaded);
  EXPECT_NE(fault.message().find("80 reads wait already (sqlite.reads_waiting)"), std::string::npos) << fault.message();
  ASSERT_EQ(fault.detail().size(), 1u);
  EXPECT_EQ(fault.detail()[0].second, Value(800));
}

}  // namespace
}  // namespace sluice
