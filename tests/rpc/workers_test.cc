#include "rpc/workers.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>

namespace sluice {
namespace {

using namespace std::chrono_literals;

class Caller : public Responder {
 public:
  explicit Caller(std::uint64_t party, Deadline deadline = kNoDeadline) : Responder(nowhere()) {
    set_party(party);
    set_deadline(deadline);
  }
  void respond(std::uint64_t, Outcome&& outcome) override { answer = std::move(outcome); }
  static Loop& nowhere() {
    static Loop loop;
    return loop;
  }
  std::optional<Outcome> answer;
};

// One worker, held until release().
class WorkersTest : public testing::Test {
 protected:
  WorkersTest() {
    std::promise<void> holds;
    workers.run([&holds, until = gate.get_future().share()] {
      holds.set_value();
      until.wait();
    });
    holds.get_future().wait();
  }
  std::shared_ptr<Caller> ask(char name, std::uint64_t party, Deadline deadline = kNoDeadline) {
    auto caller = std::make_shared<Caller>(party, deadline);
    workers.call(Reply(caller), [this, name](Reply&& reply) {
      order += name;
      reply(true);
    });
    return caller;
  }
  void release_and_wait() {
    gate.set_value();
    std::promise<void> done;
    workers.call(Reply(std::make_shared<Caller>(99)), [&](Reply&& reply) {
      reply(true);
      done.set_value();
    });
    done.get_future().wait();
  }
  std::promise<void> gate;
  std::string order;
  Workers workers{1, {.waiting = 10}};
};

TEST_F(WorkersTest, ServesThePartiesInTurn) {
  for (int i = 0; i < 5; ++i) ask('a', 1);
  ask('b', 2);
  gate.set_value();
  std::promise<void> done;
  workers.call(Reply(std::make_shared<Caller>(1)), [&](Reply&& reply) {
    reply(true);
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_EQ(order, "abaaaa");
}

TEST_F(WorkersTest, RefusesWhatIsBeyondTheBound) {
  for (int i = 0; i < 10; ++i) ask('a', 1);
  std::promise<Fault> told;
  class Refused final : public Responder {
   public:
    Refused(Loop& loop, std::promise<Fault>& told) : Responder(loop), told_(told) {}
    void respond(std::uint64_t, Outcome&& outcome) override { told_.set_value(std::get<Fault>(outcome)); }
   private:
    std::promise<Fault>& told_;
  };
  Loop loop;
  workers.call(Reply(std::make_shared<Refused>(loop, told)), [](Reply&&) { FAIL(); });
  loop.post([&loop] { loop.stop(); });
  loop.run();
  const Fault fault = told.get_future().get();
  EXPECT_EQ(fault.kind(), Fault::Kind::overloaded);
  EXPECT_NE(fault.message().find("gateway.workers_waiting"), std::string::npos);
  EXPECT_FALSE(fault.detail().empty());
  gate.set_value();
}

TEST_F(WorkersTest, DoesNotRunWhatIsOutOfTime) {
  ask('a', 1, Clock::now() + 1ms);
  ask('b', 2);
  const auto until = Clock::now() + 1ms;
  while (Clock::now() <= until) std::this_thread::yield();
  release_and_wait();
  EXPECT_EQ(order, "b");
}

}  // namespace
}  // namespace sluice
