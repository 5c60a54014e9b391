// What a Space does when its store hangs, lies down, or answers too late: a scripted store, a real loop.

#include "handlers/lock/space.h"

#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <thread>

namespace sluice::lock {
namespace {

// Keeps what it is asked; the test answers.
struct Script final : LeaseStore {
  std::string_view backend() const override { return "script"; }
  void acquire(Acquire request, UniqueFunction<void(Acquired)> done) override { acquires.emplace_back(std::move(request), std::move(done)); }
  void undo(Acquire request, UniqueFunction<void(Change)> done) override { undos.emplace_back(std::move(request), std::move(done)); }
  void release(Lease, UniqueFunction<void(Change)> done) override {
    Kept kept;
    kept.ok = true;
    done(kept);
  }
  void renew(Lease, milliseconds, UniqueFunction<void(Change)>) override {}
  void force_release(std::string, UniqueFunction<void(Listing)>) override {}
  void inspect(std::string, UniqueFunction<void(Listing)>) override {}
  void list(std::string, std::size_t, UniqueFunction<void(Listing)>) override {}
  std::unique_ptr<Watch> watch(std::string, UniqueFunction<void()>) override { return std::make_unique<Watch>(); }

  std::deque<std::pair<Acquire, UniqueFunction<void(Acquired)>>> acquires;
  std::deque<std::pair<Acquire, UniqueFunction<void(Change)>>> undos;
};

Acquired grant(milliseconds for_ = milliseconds(60'000)) { return std::vector<Grant>{{"a", 7, 1, BootClock::now() + for_, true}}; }
Acquired held() { return Held{Held::Reason::held, {"a", "other", 6, 1, 1, milliseconds(60'000), milliseconds(0)}}; }
Acquired fault(Fault::Kind kind) { return Fault(kind, "scripted"); }

class SpaceTest : public testing::Test {
 protected:
  ~SpaceTest() override {
    loop.stop();
    thread.join();
  }

  // Runs on the loop, and waits until it has.
  template <class Do>
  auto at_loop(Do act) -> decltype(act()) {
    std::packaged_task<decltype(act())()> task(std::move(act));
    auto result = task.get_future();
    loop.post([&task] { task(); });
    return result.get();
  }

  std::future<Acquired> acquire(Space::Id id, milliseconds wait, bool deliver = true) {
    auto promise = std::make_shared<std::promise<Acquired>>();
    at_loop([&] {
      Acquire request;
      request.names = {"a"};
      request.owner = "owner " + std::to_string(id);
      request.nonce = "nonce " + std::to_string(id);
      request.ttl = milliseconds(500);
      space.acquire(id, std::move(request), wait, [promise, deliver](Acquired acquired) {
        promise->set_value(std::move(acquired));
        return deliver;
      });
    });
    return promise->get_future();
  }

  // Answers the oldest request that waits, when there is one.
  Acquire answer(Acquired with) {
    wait_until([&] { return !store->acquires.empty(); });
    return at_loop([&] {
      auto [request, done] = std::move(store->acquires.front());
      store->acquires.pop_front();
      done(std::move(with));
      return request;
    });
  }
  std::string undone(Change with) {
    wait_until([&] { return !store->undos.empty(); });
    return at_loop([&] {
      auto [request, done] = std::move(store->undos.front());
      store->undos.pop_front();
      done(std::move(with));
      return request.nonce;
    });
  }
  static Change well() {
    Kept kept;
    kept.ok = true;
    return kept;
  }
  template <class Condition>
  void wait_until(Condition condition) {
    const auto give_up = Clock::now() + std::chrono::seconds(10);
    while (!at_loop([&]() -> bool { return condition(); }))
      if (Clock::now() > give_up) throw std::runtime_error("waited in vain");
  }
  bool quiet() {
    return at_loop([&] { return store->acquires.empty() && store->undos.empty(); });
  }

  Loop loop;
  Script* store = new Script;
  Space space{loop, std::unique_ptr<LeaseStore>(store), {.waiters = 3, .undos = 10, .grace = milliseconds(50), .attempt = milliseconds(100)}};
  std::thread thread{[this] { loop.run(); }};
};

TEST_F(SpaceTest, AGrantThatNobodyTakesIsTakenBack) {
  auto outcome = acquire(1, milliseconds(0), false);
  answer(grant());
  outcome.get();
  EXPECT_EQ(undone(well()), "nonce 1");
  EXPECT_TRUE(quiet());
}

TEST_F(SpaceTest, AnUnknownOutcomeIsSaidAndUndoneUntilThatWorked) {
  auto outcome = acquire(1, milliseconds(0));
  answer(fault(Fault::Kind::outcome_unknown));
  EXPECT_EQ(std::get<Fault>(outcome.get()).kind(), Fault::Kind::outcome_unknown);
  EXPECT_EQ(undone(Fault(Fault::Kind::unavailable, "still down")), "nonce 1");
  EXPECT_EQ(undone(well()), "nonce 1");
  EXPECT_TRUE(quiet());
}

TEST_F(SpaceTest, WhoWaitsAsksAgainWithTheSameNonce) {
  auto outcome = acquire(1, milliseconds(10'000));
  EXPECT_EQ(answer(fault(Fault::Kind::outcome_unknown)).nonce, "nonce 1");
  EXPECT_EQ(answer(fault(Fault::Kind::unavailable)).nonce, "nonce 1");
  EXPECT_EQ(answer(grant()).nonce, "nonce 1");
  EXPECT_TRUE(std::holds_alternative<std::vector<Grant>>(outcome.get()));
  EXPECT_TRUE(quiet());
}

TEST_F(SpaceTest, AStoreThatHangsHoldsNobodyUp) {
  auto outcome = acquire(1, milliseconds(0));
  EXPECT_EQ(std::get<Fault>(outcome.get()).kind(), Fault::Kind::outcome_unknown);  // after `attempt`
  answer(grant());
  EXPECT_EQ(undone(well()), "nonce 1");  // it came too late
}

TEST_F(SpaceTest, ALeaseThatHasEndedIsNotHandedOut) {
  auto outcome = acquire(1, milliseconds(10'000));
  answer(grant(milliseconds(-1)));
  EXPECT_EQ(undone(well()), "nonce 1");
  EXPECT_NE(answer(grant()).nonce, "nonce 1");  // what was undone must not be found again
  EXPECT_TRUE(std::holds_alternative<std::vector<Grant>>(outcome.get()));
}

TEST_F(SpaceTest, AWaitEndsInTimeWithWhoIsInTheWay) {
  const auto started = Clock::now();
  auto outcome = acquire(1, milliseconds(60));
  answer(held());
  EXPECT_EQ(std::get<Held>(outcome.get()).holder.owner, "other");
  EXPECT_GE(Clock::now() - started, milliseconds(60));
}

TEST_F(SpaceTest, WhoLeavesMakesRoomForTheNext) {
  auto first = acquire(1, milliseconds(10'000)), second = acquire(2, milliseconds(10'000));
  answer(held());
  EXPECT_FALSE(answer(held()).reentry_only);  // they asked at the same time, before anybody stood in line
  at_loop([&] { space.cancel(1); });
  const Acquire next = answer(grant());
  EXPECT_EQ(next.owner, "owner 2");
  EXPECT_TRUE(std::holds_alternative<std::vector<Grant>>(second.get()));
  EXPECT_EQ(undone(well()), "nonce 1");  // his intent
}

TEST_F(SpaceTest, WhoComesLaterDoesNotOvertake) {
  auto first = acquire(1, milliseconds(10'000));
  answer(held());
  auto second = acquire(2, milliseconds(10'000));
  EXPECT_TRUE(answer(Held{Held::Reason::not_yours, {}}).reentry_only);
  EXPECT_TRUE(quiet());
  at_loop([&] { space.release({"a", "other", 6}, [](Change) {}); });
  EXPECT_EQ(answer(grant()).owner, "owner 1");
  EXPECT_EQ(answer(held()).owner, "owner 2");
}

TEST_F(SpaceTest, ThoseWhoAreTooManyAreShed) {
  std::vector<std::future<Acquired>> outcomes;
  for (Space::Id id = 1; id <= 3; ++id) outcomes.push_back(acquire(id, milliseconds(10'000)));
  EXPECT_EQ(std::get<Fault>(acquire(4, milliseconds(10'000)).get()).kind(), Fault::Kind::overloaded);
}

}  // namespace
}  // namespace sluice::lock
