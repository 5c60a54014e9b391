#pragma once
// What every lease store must do, as tests over two gateways on one backend. A store's test file includes this and says how a
// World with it is made:
//   INSTANTIATE_TEST_SUITE_P(Redis, LeaseStoreConformance, testing::Values([] { return std::make_unique<RedisWorld>(); }));

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "handlers/lock/lease_store.h"
#include "rpc/loop.h"

namespace sluice::lock {

// Two gateways' stores on the same backend. Both live on loop(), which the suite runs in a thread; it stops before the World goes.
class World {
 public:
  virtual ~World() = default;
  virtual LeaseStore& store(int gateway) = 0;  // 0 and 1
  virtual Loop& loop() = 0;
  virtual milliseconds lateness() const { return milliseconds(250); }  // of answers, when the machine has other things to do
  virtual bool keeps_writers_apart() const { return true; }  // are Acquire::intent and mixed modes known to other gateways?
};
using MakeWorld = std::function<std::unique_ptr<World>()>;

class LeaseStoreConformance : public testing::TestWithParam<MakeWorld> {
 protected:
  ~LeaseStoreConformance() override {
    loop().stop();
    thread_.join();
  }

  // Runs `start` on the stores' loop with a function that takes its answer, and waits for that.
  template <class T, class Start>
  T ask(Start start) {
    auto promise = std::make_shared<std::promise<T>>();
    auto answer = promise->get_future();
    loop().post([promise, &start] { start([promise](T given) { promise->set_value(std::move(given)); }); });
    if (answer.wait_for(std::chrono::seconds(20)) != std::future_status::ready) throw std::runtime_error("the store did not answer within 20 s");
    return answer.get();
  }

  // What was asked for; a Fault instead is thrown, with its message.
  template <class T, class Answer>
  static T expect(Answer answer) {
    if (auto* fault = std::get_if<Fault>(&answer)) throw *fault;
    return std::get<T>(std::move(answer));
  }

  Acquired acquire(Acquire request, int gateway = 0) {
    return ask<Acquired>([&](auto done) { store(gateway).acquire(request, std::move(done)); });
  }
  Grant granted(Acquire request, int gateway = 0) {
    auto answer = acquire(std::move(request), gateway);
    if (auto* held = std::get_if<Held>(&answer)) throw std::runtime_error("held by '" + held->holder.owner + "'");
    return expect<std::vector<Grant>>(std::move(answer)).at(0);
  }
  Held refused(Acquire request, int gateway = 0) {
    auto answer = acquire(std::move(request), gateway);
    if (std::holds_alternative<std::vector<Grant>>(answer)) throw std::runtime_error("it was granted");
    return expect<Held>(std::move(answer));
  }
  Kept undo(Acquire request, int gateway = 0) {
    return expect<Kept>(ask<Change>([&](auto done) { store(gateway).undo(request, std::move(done)); }));
  }
  Kept release(Lease lease, int gateway = 0) {
    return expect<Kept>(try_release(std::move(lease), gateway));
  }
  Change try_release(Lease lease, int gateway = 0) {
    return ask<Change>([&](auto done) { store(gateway).release(lease, std::move(done)); });
  }
  Kept renew(Lease lease, milliseconds ttl, int gateway = 0) {
    return expect<Kept>(ask<Change>([&](auto done) { store(gateway).renew(lease, ttl, std::move(done)); }));
  }
  std::vector<Lock> list(std::string prefix, std::size_t most = 100) {
    return expect<std::vector<Lock>>(ask<Listing>([&](auto done) { store(0).list(prefix, most, std::move(done)); }));
  }
  Lock inspect(std::string name, int gateway = 0) {
    return expect<std::vector<Lock>>(ask<Listing>([&](auto done) { store(gateway).inspect(name, std::move(done)); })).at(0);
  }
  Lock force_release(std::string name, int gateway = 0) {
    return expect<std::vector<Lock>>(ask<Listing>([&](auto done) { store(gateway).force_release(name, std::move(done)); })).at(0);
  }

  Acquire request(std::string owner, std::vector<std::string> names = {"a"}, milliseconds ttl = milliseconds(60'000), std::int64_t slots = kExclusive) {
    Acquire request;
    request.names = std::move(names);
    for (std::string& name : request.names) name = prefix + name;
    request.owner = std::move(owner);
    request.nonce = "nonce-" + std::to_string(++nonces_);
    request.ttl = ttl;
    request.slots = slots;
    return request;
  }
  static Lease lease(const std::string& owner, const Grant& grant) { return {grant.name, owner, grant.token}; }

  // Asks again and again until it is granted, and answers when that was.
  BootClock::time_point granted_at(const std::string& owner, int gateway) {
    const auto give_up = BootClock::now() + milliseconds(20'000);
    while (BootClock::now() < give_up)
      if (std::holds_alternative<std::vector<Grant>>(acquire(request(owner), gateway))) return BootClock::now();
    throw std::runtime_error("never granted");
  }

  LeaseStore& store(int gateway) { return world_->store(gateway); }
  Loop& loop() { return world_->loop(); }
  World& world() { return *world_; }

  // Worlds of one backend may share it: each test has names of its own.
  const std::string prefix = std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ":" + std::to_string(BootClock::now().time_since_epoch().count()) + ":";

 private:
  std::unique_ptr<World> world_ = GetParam()();
  std::thread thread_{[this] { world_->loop().run(); }};
  std::atomic<int> nonces_{0};
};

TEST_P(LeaseStoreConformance, OneHolderAtATimeWithARisingToken) {
  const Grant first = granted(request("A"));
  EXPECT_GT(first.token, 0);
  EXPECT_EQ(first.count, 1);
  EXPECT_GT(first.until, BootClock::now() + milliseconds(55'000));
  EXPECT_LE(first.until, BootClock::now() + milliseconds(60'000));
  const Held held = refused(request("B"), 1);
  EXPECT_EQ(held.reason, Held::Reason::held);
  EXPECT_EQ(held.holder.owner, "A");
  EXPECT_GT(held.holder.remaining, milliseconds(50'000));
  EXPECT_LE(held.holder.remaining, milliseconds(60'000));
  EXPECT_TRUE(release(lease("A", first), 1).ok);  // through whichever gateway
  const Grant second = granted(request("B"), 1);
  EXPECT_GT(second.token, first.token);
}

TEST_P(LeaseStoreConformance, AnOwnerReenters) {
  const Grant one = granted(request("A")), two = granted(request("A"), 1), three = granted(request("A"));
  EXPECT_EQ(two.token, one.token);
  EXPECT_EQ(three.token, one.token);
  EXPECT_EQ(two.count, 2);
  EXPECT_EQ(three.count, 3);
  EXPECT_EQ(release(lease("A", one)).count, 2);
  EXPECT_EQ(release(lease("A", one), 1).count, 1);
  refused(request("B"));
  EXPECT_EQ(release(lease("A", one)).count, 0);
  EXPECT_FALSE(release(lease("A", one)).ok);
  granted(request("B"));
}

TEST_P(LeaseStoreConformance, WhatWasEnteredThroughOneGatewayIsGivenBackThroughAnother) {
  const Grant one = granted(request("A"), 1);
  for (int more = 0; more < 3; ++more) granted(request("A"), 1);
  for (const std::int64_t left : {3, 2, 1}) EXPECT_EQ(release(lease("A", one)).count, left);
  EXPECT_EQ(granted(request("A")).count, 2);
  for (const std::int64_t left : {1, 0}) EXPECT_EQ(release(lease("A", one), 1).count, left);
  EXPECT_FALSE(release(lease("A", one)).ok);
  EXPECT_GT(granted(request("B")).token, one.token);
}

TEST_P(LeaseStoreConformance, OnlyReentryWhenAsked) {
  Acquire only = request("A");
  only.reentry_only = true;
  EXPECT_EQ(refused(only).reason, Held::Reason::not_yours);
  granted(request("A"));
  only.nonce = "another";
  EXPECT_EQ(granted(only).count, 2);
}

TEST_P(LeaseStoreConformance, ARepeatedRequestIsNotCountedTwice) {
  const Acquire same = request("A");
  const Grant one = granted(same), again = granted(same);
  EXPECT_EQ(again.token, one.token);
  EXPECT_EQ(again.count, 1);
  EXPECT_EQ(release(lease("A", one)).count, 0);
  granted(request("B"));
}

TEST_P(LeaseStoreConformance, UndoTakesBackThatRequestAlone) {
  const Acquire first = request("A"), second = request("A"), never = request("A");
  const Grant one = granted(first);
  granted(second);
  EXPECT_TRUE(undo(never).ok);
  EXPECT_EQ(inspect(one.name).holders.at(0).count, 2);
  EXPECT_TRUE(undo(second, 1).ok);
  EXPECT_EQ(inspect(one.name).holders.at(0).count, 1);
  EXPECT_TRUE(undo(second).ok);  // again: it is gone already
  EXPECT_EQ(inspect(one.name).holders.at(0).count, 1);
  const Acquire other = request("B", {"b", "c"});
  granted(other);
  EXPECT_TRUE(undo(other).ok);
  granted(request("C", {"b", "c"}));
}

TEST_P(LeaseStoreConformance, ALeaseEndsNeitherEarlyNorLate) {
  for (const milliseconds ttl : {milliseconds(200), milliseconds(700)}) {
    const auto asked = BootClock::now();
    const Grant grant = granted(request("A", {"a"}, ttl));
    // What the holder may rely on is less by what the request took, never more.
    EXPECT_GE(grant.until, asked + ttl - milliseconds(150));
    EXPECT_LE(grant.until, BootClock::now() + ttl);
    const auto freed = granted_at("B", 1);
    EXPECT_GE(freed, asked + ttl - milliseconds(1));
    EXPECT_LE(freed, asked + ttl + world().lateness());
    const Kept late = release(lease("A", grant));
    EXPECT_FALSE(late.ok);
    EXPECT_GT(late.newest, grant.token);
    EXPECT_FALSE(renew(lease("A", grant), milliseconds(60'000)).ok);
    EXPECT_TRUE(release({grant.name, "B", late.newest}).ok);
  }
}

TEST_P(LeaseStoreConformance, RenewingKeepsIt) {
  const Grant grant = granted(request("A", {"a"}, milliseconds(3000)));
  const Kept kept = renew(lease("A", grant), milliseconds(30'000), 1);
  EXPECT_TRUE(kept.ok);
  EXPECT_GT(kept.until, BootClock::now() + milliseconds(25'000));
  EXPECT_EQ(kept.count, 1);
  EXPECT_GT(refused(request("B")).holder.remaining, milliseconds(20'000));
  EXPECT_FALSE(renew({grant.name, "A", grant.token + 1}, milliseconds(1000)).ok);
  EXPECT_FALSE(renew({grant.name, "B", grant.token}, milliseconds(1000)).ok);
  EXPECT_FALSE(release({grant.name, "B", grant.token}).ok);
  EXPECT_FALSE(release({grant.name, "A", grant.token - 1}).ok);
  EXPECT_TRUE(release(lease("A", grant)).ok);
}

TEST_P(LeaseStoreConformance, SharedHoldersKeepAWriterOut) {
  const auto minute = milliseconds(60'000);
  const Grant one = granted(request("R1", {"a"}, minute, kShared)), two = granted(request("R2", {"a"}, minute, kShared), 1);
  EXPECT_NE(one.token, two.token);
  refused(request("W"));
  EXPECT_EQ(refused(request("R1")).reason, Held::Reason::other_mode);  // no upgrade: two who try would wait for each other
  EXPECT_TRUE(release(lease("R1", one)).ok);
  refused(request("W"), 1);
  EXPECT_TRUE(release(lease("R2", two)).ok);
  const Grant writer = granted(request("W"));
  EXPECT_GT(writer.token, std::max(one.token, two.token));
  refused(request("R3", {"a"}, minute, kShared), 1);
}

TEST_P(LeaseStoreConformance, AWaitingWriterLetsNoNewReadersIn) {
  if (!world().keeps_writers_apart()) return;
  const auto minute = milliseconds(60'000);
  const Grant reader = granted(request("R1", {"a"}, minute, kShared));
  Acquire writer = request("W");
  writer.intent = milliseconds(5000);
  refused(writer, 1);
  refused(request("R2", {"a"}, minute, kShared), 0);
  EXPECT_EQ(granted(request("R1", {"a"}, minute, kShared)).count, 2);  // who is in may re-enter
  release(lease("R1", reader));
  release(lease("R1", reader));
  const Grant write = granted(writer, 1);
  EXPECT_TRUE(release(lease("W", write)).ok);
  granted(request("R2", {"a"}, minute, kShared));
}

TEST_P(LeaseStoreConformance, SoManyPermitsAndNoMore) {
  const auto minute = milliseconds(60'000);
  const Grant one = granted(request("A", {"a"}, minute, 2));
  granted(request("B", {"a"}, minute, 2), 1);
  refused(request("C", {"a"}, minute, 2));
  refused(request("C", {"a"}, minute, 3));  // they must agree about the number
  EXPECT_EQ(granted(request("A", {"a"}, minute, 2)).count, 2);
  release(lease("A", one));
  release(lease("A", one));
  granted(request("C", {"a"}, minute, 2), 1);
  refused(request("D"));
}

TEST_P(LeaseStoreConformance, SeveralNamesAllOrNone) {
  const Grant b = granted(request("B", {"b"}));
  EXPECT_EQ(refused(request("A", {"a", "b", "c"})).holder.name, prefix + "b");
  granted(request("C", {"a"}), 1);
  EXPECT_TRUE(release(lease("B", b)).ok);
  auto answer = acquire(request("D", {"b", "c", "d"}), 1);
  ASSERT_TRUE(std::holds_alternative<std::vector<Grant>>(answer));
  const auto grants = std::get<std::vector<Grant>>(answer);
  ASSERT_EQ(grants.size(), 3u);
  for (const Grant& grant : grants) EXPECT_TRUE(release(lease("D", grant)).ok);
}

TEST_P(LeaseStoreConformance, ForcedOpenTheTokenRises) {
  const Grant grant = granted(request("A"));
  const Lock was = force_release(grant.name, 1);
  ASSERT_EQ(was.holders.size(), 1u);
  EXPECT_EQ(was.holders[0].owner, "A");
  EXPECT_GT(was.newest, grant.token);
  EXPECT_FALSE(renew(lease("A", grant), milliseconds(1000)).ok);
  EXPECT_FALSE(release(lease("A", grant)).ok);
  EXPECT_GT(granted(request("B")).token, was.newest - 1);
  EXPECT_TRUE(force_release(prefix + "never locked").holders.empty());
}

TEST_P(LeaseStoreConformance, TellsWhoHoldsWhat) {
  EXPECT_TRUE(inspect(prefix + "a").holders.empty());
  const Grant a = granted(request("A"));
  granted(request("A"));
  granted(request("B", {"b"}), 1);
  const Lock lock = inspect(a.name, 1);
  EXPECT_EQ(lock.newest, a.token);
  ASSERT_EQ(lock.holders.size(), 1u);
  EXPECT_EQ(lock.holders[0].owner, "A");
  EXPECT_EQ(lock.holders[0].token, a.token);
  EXPECT_EQ(lock.holders[0].count, 2);
  const auto all = list(prefix);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, prefix + "a");
  EXPECT_EQ(all[1].name, prefix + "b");
  EXPECT_EQ(list(prefix + "b").size(), 1u);
  EXPECT_EQ(list(prefix, 1).size(), 1u);
  EXPECT_TRUE(list(prefix + "c").empty());
}

TEST_P(LeaseStoreConformance, OddNamesAreNames) {
  for (const char* name : {"'; DROP TABLE sluice_locks; --", "\"\\\x01\n\t", "é😀", "a b{c}:*?", "[\"x\"]", "/a/../b"}) {
    const Grant grant = granted(request("owner of " + std::string(name), {name}));
    EXPECT_EQ(grant.name, prefix + name);
    EXPECT_EQ(inspect(grant.name, 1).holders.at(0).owner, "owner of " + std::string(name));
    EXPECT_TRUE(release(lease("owner of " + std::string(name), grant)).ok);
  }
}

TEST_P(LeaseStoreConformance, AReleaseElsewhereWakesWhoWatches) {
  auto fastest = milliseconds::max();  // of three: the machine may be busy with something else for a moment
  for (int round = 0; round < 3; ++round) {
    const Grant grant = granted(request("A"));
    refused(request("B"), 1);
    std::atomic<BootClock::time_point> woken{};
    std::unique_ptr<LeaseStore::Watch> watch;
    // A watch may call too often: what counts is that it calls after the release.
    ask<bool>([&](auto done) {
      watch = store(1).watch(grant.name, [&] {
        woken = BootClock::now();
        woken.notify_all();
      });
      done(true);
    });
    ask<bool>([](auto done) { done(true); });  // a call to begin with is over
    const auto released = BootClock::now();  // the call may come before the release is answered
    EXPECT_TRUE(release(lease("A", grant), 0).ok);
    for (auto seen = woken.load(); seen < released; seen = woken.load()) woken.wait(seen);
    fastest = std::min(fastest, std::chrono::duration_cast<milliseconds>(woken.load() - released));
    ask<bool>([&](auto done) {
      watch.reset();
      done(true);
    });
  }
  EXPECT_LT(fastest, milliseconds(100));
}

// Many at once through both gateways: never two holders, no token twice, and none lower than one before.
TEST_P(LeaseStoreConformance, NeverTwoHoldersUnderContention) {
  std::atomic<int> holders{0};
  std::atomic<Token> last{0};
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 8; ++caller)
    callers.emplace_back([&, caller] {
      const std::string owner = "caller " + std::to_string(caller);
      for (int turn = 0; turn < 20;) {
        Acquire wanted = request("");
        wanted.owner = owner;
        wanted.nonce = owner + "." + std::to_string(BootClock::now().time_since_epoch().count()) + "." + std::to_string(turn);
        auto answer = acquire(std::move(wanted), caller % 2);
        const auto* grants = std::get_if<std::vector<Grant>>(&answer);
        if (!grants) {
          // A busy store may say that it was not asked in time; it must not have done anything then.
          const auto* fault = std::get_if<Fault>(&answer);
          EXPECT_TRUE(!fault || fault->kind() == Fault::Kind::unavailable) << fault->message();
          continue;
        }
        EXPECT_EQ(++holders, 1);
        EXPECT_GT(grants->front().token, last.exchange(grants->front().token));
        --holders;
        // The answer of a release may be lost: whoever asks again gives it back, or hears that it is not held.
        Change change = try_release(lease(owner, grants->front()), (caller + turn) % 2);
        const bool lost = std::holds_alternative<Fault>(change);
        while (const auto* fault = std::get_if<Fault>(&change)) {
          EXPECT_TRUE(fault->kind() == Fault::Kind::outcome_unknown || fault->kind() == Fault::Kind::unavailable) << fault->message();
          change = try_release(lease(owner, grants->front()), (caller + turn) % 2);
        }
        EXPECT_TRUE(lost || std::get<Kept>(change).ok);
        ++turn;
      }
    });
}

}  // namespace sluice::lock
