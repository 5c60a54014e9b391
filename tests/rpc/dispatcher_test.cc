#include "rpc/dispatcher.h"

#include <gtest/gtest.h>

#include <optional>

#include "rpc/system.h"

namespace sluice {
namespace {

// Keeps the one answer.
class Caller : public Responder {
 public:
  explicit Caller(Loop& loop) : Responder(loop) {}
  void respond(std::uint64_t, Outcome&& outcome) override {
    ASSERT_FALSE(answer) << "answered twice";
    answer = std::move(outcome);
  }
  std::optional<Outcome> answer;
};

class Toys : public Handler {
 public:
  std::string_view name() const override { return "toys"; }
  std::vector<Method> methods() override {
    return {
        method("twice", this, &Toys::twice, {"n"}, "n and n again."),
        method("drop", this, &Toys::drop, {}, "Forgets to answer."),
        method("boom", this, &Toys::boom, {}, "Throws what is no Fault."),
        method("refuse", this, &Toys::refuse, {}, "Throws after it took its Answer."),
        method("keep", this, &Toys::keep, {}, "Answers when told."),
        method("greet", this, &Toys::greet, {"name", "greeting"}, "A greeting."),
    };
  }
  std::int64_t twice(std::int64_t n) { return 2 * n; }
  void drop(Answer<bool>) {}
  void refuse(Answer<bool> answer) {
    Answer<bool> taken = std::move(answer);
    throw Fault(Fault::Kind::conflict, "not now");
  }
  void boom() { throw std::runtime_error("the toy broke"); }
  void keep(Answer<bool> answer) { kept.emplace_back(std::move(answer)); }
  std::string greet(std::string name, std::optional<std::string> greeting) { return greeting.value_or("Hello") + " " + name; }

  std::vector<Answer<bool>> kept;
};

class DispatcherTest : public testing::Test {
 protected:
  void SetUp() override {
    dispatcher.add(toys);
    dispatcher.add(system);
  }

  // Calls on the loop's thread, where replies are delivered at once.
  Outcome call(std::string name, Value::Array args = {}) { return call(dispatcher, std::move(name), std::move(args)); }
  Outcome call(const Dispatcher& to, std::string name, Value::Array args) {
    auto caller = std::make_shared<Caller>(loop);
    loop.post([&] {
      Call call;
      call.method = name;
      call.args = std::move(args);
      to.call(call, Reply(caller));
      loop.post([&] { loop.stop(); });
    });
    loop.run();
    return caller->answer ? std::move(*caller->answer) : Outcome(Value("no answer yet"));
  }

  Fault fault(std::string name, Value::Array args = {}) {
    auto outcome = call(std::move(name), std::move(args));
    auto* f = std::get_if<Fault>(&outcome);
    EXPECT_TRUE(f);
    return f ? *f : Fault(Fault::Kind::internal, "answered with a value");
  }

  Toys toys;
  Dispatcher dispatcher{nullptr, {.in_flight = 2}};
  System system{dispatcher};
  Loop loop;
};

TEST_F(DispatcherTest, AnswersAPlainMethod) {
  EXPECT_EQ(std::get<Value>(call("toys.twice", {21})), Value(42));
}

TEST_F(DispatcherTest, TakesAnIntegralDoubleAndDecimalTextAsAnInteger) {
  EXPECT_EQ(std::get<Value>(call("toys.twice", {21.0})), Value(42));
}

TEST_F(DispatcherTest, SuggestsTheNearestName) {
  Fault f = fault("toys.twcie", {21});
  EXPECT_EQ(f.kind(), Fault::Kind::no_such_method);
  EXPECT_STREQ(f.what(), "method 'toys.twcie' is not served here; did you mean 'toys.twice'?");
}

TEST_F(DispatcherTest, TellsWhereTheNamesAreWhenNoneIsNear) {
  EXPECT_STREQ(fault("something.else").what(), "method 'something.else' is not served here; system.listMethods lists those that are");
}

TEST_F(DispatcherTest, SaysWhatIsMissing) {
  EXPECT_STREQ(fault("toys.twice").what(), "twice() missing 1 required positional argument: 'n'; expected twice(n: int)");
}

TEST_F(DispatcherTest, SaysWhatIsTooMuch) {
  EXPECT_STREQ(fault("toys.greet", {"a", "b", "c"}).what(),
               "greet() takes from 1 to 2 positional arguments but 3 were given; expected greet(name: string, greeting: string = nil)");
}

TEST_F(DispatcherTest, SaysWhatWasExpectedAndWhatCame) {
  EXPECT_STREQ(fault("toys.twice", {"three"}).what(), "twice() argument 'n' must be int, not string 'three'");
}

TEST_F(DispatcherTest, AnswersForAMethodThatForgets) { EXPECT_EQ(fault("toys.drop").kind(), Fault::Kind::internal); }

TEST_F(DispatcherTest, AnswersWithTheFaultOfAMethodThatHeldItsAnswer) { EXPECT_STREQ(fault("toys.refuse").what(), "not now"); }

TEST_F(DispatcherTest, TurnsAnExceptionIntoAFault) {
  EXPECT_STREQ(fault("toys.boom").what(), "toys.boom: the toy broke");
}

TEST_F(DispatcherTest, ShedsCallsBeyondTheLimit) {
  auto ask = [&] {
    Call call;
    call.method = "toys.keep";
    auto one = std::make_shared<Caller>(loop);
    dispatcher.call(call, Reply(one));
    return one;
  };
  loop.post([&] {
    auto first = ask(), second = ask(), third = ask();
    EXPECT_FALSE(first->answer);
    ASSERT_TRUE(third->answer);
    EXPECT_EQ(std::get<Fault>(*third->answer).kind(), Fault::Kind::overloaded);
    toys.kept.front()(true);  // one is done: there is room again
    EXPECT_FALSE(ask()->answer);
    toys.kept.clear();
    loop.stop();
  });
  loop.run();
}

TEST_F(DispatcherTest, RefusesTwoMethodsOfOneName) {
  Toys again;
  EXPECT_THROW(dispatcher.add(again), std::logic_error);
}

TEST_F(DispatcherTest, MulticallRunsEachCallAndKeepsFaultsApart) {
  Value::Array calls{Value::Struct{{"methodName", "toys.twice"}, {"params", Value::Array{1}}},
                     Value::Struct{{"methodName", "toys.none"}, {"params", Value::Array{}}},
                     Value::Struct{{"methodName", "system.multicall"}, {"params", Value::Array{Value(Value::Array{})}}}, Value(7)};
  Value answer = std::get<Value>(call("system.multicall", {Value(calls)}));
  auto& results = *answer.get_if<Value::Array>();
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(results[0], Value(Value::Array{2}));
  EXPECT_EQ(*results[1].find("faultCode"), Value(-32601));
  EXPECT_EQ(*results[2].find("faultCode"), Value(-32602));
  EXPECT_EQ(*results[3].find("faultCode"), Value(-32602));
}

TEST_F(DispatcherTest, MulticallStopsWhenItsResultsAreMoreThanAnAnswer) {
  System small(dispatcher, System::Limits{.answer_bytes = 1000});
  Dispatcher own;
  own.add(small);
  Value::Array calls;
  for (int i = 0; i < 100; ++i)
    calls.push_back(Value::Struct{{"methodName", "toys.greet"}, {"params", Value::Array{std::string(400, 'x'), "hello"}}});
  const Fault fault = std::get<Fault>(call(own, "system.multicall", {Value(calls)}));
  EXPECT_EQ(fault.kind(), Fault::Kind::too_large);
  EXPECT_NE(fault.message().find("the first 3 of 100 calls"), std::string::npos) << fault.message();
}

TEST_F(DispatcherTest, ListsTrueSignatures) {
  Value answer = std::get<Value>(call("system.methodSignature", {"toys.greet"}));
  EXPECT_EQ(answer, Value(Value::Array{Value::Array{"string", "string"}, Value::Array{"string", "string", "string"}}));
}

}  // namespace
}  // namespace sluice
