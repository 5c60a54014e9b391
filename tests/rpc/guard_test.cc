// A guard sees every call, those of a multicall too, and introspection tells each caller what he may call.

#include <gtest/gtest.h>

#include "rpc/dispatcher.h"
#include "rpc/system.h"

namespace sluice {
namespace {

struct Recorder : Responder {
  using Responder::Responder;
  void respond(std::uint64_t, Outcome&& outcome) override { outcomes.push_back(std::move(outcome)); }
  std::vector<Outcome> outcomes;
};

struct OneMethod : Principal {
  explicit OneMethod(std::vector<std::string> methods) : methods(std::move(methods)) {}
  const std::string& name() const noexcept override { return called; }
  bool may_call(const Method& method) const noexcept override { return std::find(methods.begin(), methods.end(), method.name) != methods.end(); }
  bool may_use(std::string_view) const noexcept override { return true; }
  bool may_write() const noexcept override { return false; }
  std::string called = "ann";
  std::vector<std::string> methods;
};

struct Pair : Handler {
  std::string_view name() const override { return "pair"; }
  std::vector<Method> methods() override { return {method("one", this, &Pair::one, {}, "one"), method("two", this, &Pair::two, {}, "two")}; }
  std::int64_t one() { return 1; }
  std::int64_t two() { return 2; }
};

struct ByRight : Guard {
  Reply admit(const Method& method, const Call&, Reply reply) override {
    asked.push_back(method.name);
    if (reply.principal() && reply.principal()->may_call(method)) return reply;
    reply(Fault(Fault::Kind::denied, "no"));
    return {};
  }
  void missed(std::string_view method, std::string_view, const Principal* caller) override { unknown.push_back((caller ? caller->name() : "nobody") + " " + std::string(method)); }
  std::vector<std::string> asked, unknown;
};

struct GuardTest : testing::Test {
  GuardTest() : system(dispatcher) {
    dispatcher.add(system);
    dispatcher.add(pair);
    dispatcher.set_guard(guard);
  }

  Outcome call(std::string method, Value::Array args, std::vector<std::string> may) {
    Loop loop;
    auto to = std::make_shared<Recorder>(loop);
    if (!may.empty()) to->set_principal(std::make_shared<OneMethod>(std::move(may)));
    Call call;
    call.method = std::move(method);
    call.args = std::move(args);
    loop.post([&] {
      dispatcher.call(call, Reply(to));
      loop.stop();
    });
    loop.run();
    EXPECT_EQ(to->outcomes.size(), 1U);
    return std::move(to->outcomes.at(0));
  }

  Dispatcher dispatcher;
  System system;
  Pair pair;
  ByRight guard;
};

TEST_F(GuardTest, RefusesWhoHasNoRightAndWhomNobodyVouchedFor) {
  EXPECT_EQ(std::get<Value>(call("pair.one", {}, {"pair.one"})), Value(1));
  EXPECT_EQ(std::get<Fault>(call("pair.two", {}, {"pair.one"})).kind(), Fault::Kind::denied);
  EXPECT_EQ(std::get<Fault>(call("pair.one", {}, {})).kind(), Fault::Kind::denied);
}

TEST_F(GuardTest, SeesTheCallsInsideAMulticall) {
  auto one = [](const char* name) { return Value(Value::Struct{{"methodName", name}, {"params", Value::Array{}}}); };
  const Value answer = std::get<Value>(call("system.multicall", {Value(Value::Array{one("pair.one"), one("pair.two")})}, {"system.multicall", "pair.one"}));
  const auto& results = *answer.get_if<Value::Array>();
  EXPECT_EQ(results.at(0), Value(Value::Array{1}));
  EXPECT_EQ(*results.at(1).find("faultCode"), Value(-32003));
  EXPECT_EQ(guard.asked, (std::vector<std::string>{"system.multicall", "pair.one", "pair.two"}));
}

TEST_F(GuardTest, IsToldOfNamesThatAreNotServed) {
  EXPECT_EQ(std::get<Fault>(call("pair.three", {}, {"pair.one"})).kind(), Fault::Kind::no_such_method);
  const Value inner(Value::Struct{{"methodName", "pair.four"}, {"params", Value::Array{}}});
  const Value answer = std::get<Value>(call("system.multicall", {Value(Value::Array{inner})}, {"system.multicall"}));
  EXPECT_EQ(*answer.get_if<Value::Array>()->at(0).find("faultCode"), Value(-32601));
  call("pair.one", {}, {"pair.one"});
  call("pair.two", {}, {"pair.one"});
  EXPECT_EQ(guard.unknown, (std::vector<std::string>{"ann pair.three", "ann pair.four"}));
}

TEST_F(GuardTest, IntrospectionTellsACallerWhatHeMayCall) {
  const std::vector<std::string> may{"pair.one", "system.listMethods", "system.methodHelp", "system.methodSignature", "system.methodExist"};
  EXPECT_EQ(std::get<Value>(call("system.listMethods", {}, may)),
            Value(Value::Array{"pair.one", "system.listMethods", "system.methodExist", "system.methodHelp", "system.methodSignature"}));
  EXPECT_EQ(std::get<Value>(call("system.methodHelp", {"pair.one"}, may)), Value("one"));
  EXPECT_EQ(std::get<Fault>(call("system.methodHelp", {"pair.two"}, may)).kind(), Fault::Kind::no_such_method);
  EXPECT_EQ(std::get<Fault>(call("system.methodSignature", {"pair.two"}, may)).kind(), Fault::Kind::no_such_method);
  EXPECT_EQ(std::get<Value>(call("system.methodExist", {"pair.two"}, may)), Value(false));
}

TEST_F(GuardTest, AnUnknownNameIsNotCorrectedToOneThatTheCallerMayNotCall) {
  EXPECT_NE(std::string(std::get<Fault>(call("pair.tw", {}, {"pair.two"})).what()).find("pair.two"), std::string::npos);
  EXPECT_EQ(std::string(std::get<Fault>(call("pair.tw", {}, {"system.listMethods"})).what()).find("pair.two"), std::string::npos);
}

}  // namespace
}  // namespace sluice
