#include "rpc/reply.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

namespace sluice {
namespace {

class Caller : public Responder {
 public:
  using Responder::cancel;
  using Responder::Responder;
  void respond(std::uint64_t ticket, Outcome&& outcome) override {
    EXPECT_EQ(Loop::current(), &loop());
    EXPECT_FALSE(answer);
    this->ticket = ticket;
    answer = std::move(outcome);
    loop().stop();
  }
  std::optional<Outcome> answer;
  std::uint64_t ticket = 0;
};

TEST(Reply, FromAnotherThreadArrivesOnTheCallersLoop) {
  Loop loop;
  auto caller = std::make_shared<Caller>(loop);
  std::thread other([reply = Reply(caller, 7)]() mutable { reply(Value("done")); });
  loop.run();
  other.join();
  EXPECT_EQ(std::get<Value>(*caller->answer), Value("done"));
  EXPECT_EQ(caller->ticket, 7u);
}

class Somebody final : public Principal {
 public:
  explicit Somebody(std::string name) : name_(std::move(name)) {}
  const std::string& name() const noexcept override { return name_; }
  bool may_call(const Method&) const noexcept override { return true; }
  bool may_use(std::string_view) const noexcept override { return true; }
  bool may_write() const noexcept override { return true; }

 private:
  const std::string name_;
};

TEST(Reply, ThePartyIsThePrincipalOrElseTheConnection) {
  Loop loop;
  Caller one(loop), other(loop), own(loop);
  one.set_party(7);
  other.set_party(8);
  EXPECT_EQ(one.party(), 7u);
  EXPECT_EQ(own.party(), 0u);
  one.set_principal(std::make_shared<Somebody>("ann"));
  other.set_principal(std::make_shared<Somebody>("ann"));
  own.set_principal(std::make_shared<Somebody>("bob"));
  EXPECT_EQ(one.party(), other.party());
  EXPECT_NE(one.party(), own.party());
}

TEST(Reply, DroppedUnansweredIsAnInternalFault) {
  Loop loop;
  auto caller = std::make_shared<Caller>(loop);
  loop.post([caller] { Reply dropped(caller); });
  loop.run();
  EXPECT_EQ(std::get<Fault>(*caller->answer).kind(), Fault::Kind::internal);
}

TEST(Reply, TellsWorkThatItsCallerIsGone) {
  Loop loop;
  auto caller = std::make_shared<Caller>(loop);
  bool told = false;
  loop.post([&] {
    Reply reply(caller);
    reply.on_cancel([&] { told = true; });
    EXPECT_FALSE(reply.cancelled());
    caller->cancel();
    EXPECT_TRUE(reply.cancelled());
  });
  loop.run();
  EXPECT_TRUE(told);
}

TEST(Reply, TellsAtOnceWhoAsksAfterTheCallerWent) {
  Loop loop;
  auto caller = std::make_shared<Caller>(loop);
  bool told = false;
  loop.post([&] {
    Reply reply(caller);
    caller->cancel();
    reply.on_cancel([&] { told = true; });
    EXPECT_TRUE(told);
  });
  loop.run();
}

TEST(Reply, LeavesTheGaugeWhenAnswered) {
  Loop loop;
  auto caller = std::make_shared<Caller>(loop);
  std::atomic<std::int64_t> gauge{0};
  loop.post([&] {
    Reply reply(caller);
    reply.count_in(gauge);
    EXPECT_EQ(gauge, 1);
    reply(Value(true));
    EXPECT_EQ(gauge, 0);
  });
  loop.run();
}

}  // namespace
}  // namespace sluice
