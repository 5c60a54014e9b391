#include "handlers/probe/probe.h"

#include <algorithm>

namespace sluice {
namespace {

// 0, 1, 2 ... as they are asked for: a million million cost no more than one.
class Counting final : public Source {
 public:
  Counting(std::int64_t end, bool fails) : end_(end), fails_(fails) {}
  void pull(std::size_t most, Receiver receive) override {
    Batch batch;
    while (at_ < end_ && batch.items.size() < most) batch.items.emplace_back(at_++);
    batch.end = at_ >= end_;
    if (batch.end && fails_) batch.fault = Fault::named("RuntimeError", "probe");
    receive(std::move(batch));
  }

 private:
  std::int64_t at_ = 0;
  const std::int64_t end_;
  const bool fails_;
};

// Owned by the timer's task and by the cancelling: whichever comes first answers.
struct Sleeper {
  Sleeper(Loop& loop, Answer<std::string> answer) : timer(loop), answer(std::move(answer)) {}
  Timer timer;
  Answer<std::string> answer;
};

std::int64_t member(const Value& value, std::string_view name) {
  const Value* found = value.find(name);
  const auto* integer = found ? found->get_if<std::int64_t>() : nullptr;
  if (!integer) throw Fault(Fault::Kind::bad_arguments, "expected a struct with the int member '" + std::string(name) + "', not " + describe(value));
  return *integer;
}

}  // namespace

std::vector<Method> Probe::methods() {
  return {
      method("echo", this, &Probe::echo, {"x"}, "The value that came."),
      method("sleep", this, &Probe::sleep, {"seconds"}, "Answers 'slept' after so many seconds; other calls go on meanwhile."),
      method("fail", this, &Probe::fail, {"name", "message"}, "Fails by the name RuntimeError and the message 'probe', or those that are given."),
      method("count", this, &Probe::count, {"n"}, "A stream of the integers 0 to n-1."),
      method("count_then_fail", this, &Probe::count_then_fail, {"n"}, "A stream of the integers 0 to n-1 that then breaks with a RuntimeError."),
  };
}

void Probe::sleep(Answer<std::string> answer, double seconds) const {
  if (!(seconds >= 0 && seconds <= 86'400)) throw Fault(Fault::Kind::bad_arguments, "sleep() argument 'seconds' must be from 0 to 86400");
  auto sleeper = std::make_shared<Sleeper>(answer.reply().loop(), std::move(answer));
  // The timer's task keeps its own timer alive until it has run or is cancelled.
  sleeper->answer.reply().on_cancel([weak = std::weak_ptr(sleeper)] {
    if (auto self = weak.lock()) {
      self->timer.stop();
      self->answer(Fault(Fault::Kind::cancelled, "the sleep was cancelled"));
    }
  });
  sleeper->timer.start(std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000)), [sleeper] { sleeper->answer("slept"); });
}

void Probe::fail(std::optional<std::string> name, std::optional<std::string> message) const {
  throw Fault::named(name.value_or("RuntimeError"), message.value_or("probe"));
}

void Probe::count(StreamAnswer<std::int64_t> answer, std::int64_t n) const { answer(std::make_unique<Counting>(n, false)); }

void Probe::count_then_fail(StreamAnswer<std::int64_t> answer, std::int64_t n) const { answer(std::make_unique<Counting>(n, true)); }

std::vector<Method> Validator1::methods() {
  return {
      method("arrayOfStructsTest", this, &Validator1::array_of_structs_test, {"structs"}, "The sum of the members 'curly'."),
      method("countTheEntities", this, &Validator1::count_the_entities, {"text"}, "How often < > & ' and \" stand in a text."),
      method("easyStructTest", this, &Validator1::easy_struct_test, {"stooges"}, "The sum of moe, larry and curly."),
      method("echoStructTest", this, &Validator1::echo_struct_test, {"value"}, "The struct that came."),
      method("manyTypesTest", this, &Validator1::many_types_test, {"number", "boolean", "string", "real", "time", "bytes"}, "The six values as an array."),
      method("moderateSizeArrayCheck", this, &Validator1::moderate_size_array_check, {"strings"}, "The first and the last string, joined."),
      method("nestedStructTest", this, &Validator1::nested_struct_test, {"years"}, "The sum of moe, larry and curly on 1 April 2000."),
      method("simpleStructReturnTest", this, &Validator1::simple_struct_return_test, {"number"}, "The number times 10, 100 and 1000."),
  };
}

std::int64_t Validator1::array_of_structs_test(Array structs) const {
  std::int64_t sum = 0;
  for (const Value& value : structs) sum += member(value, "curly");
  return sum;
}

Value::Struct Validator1::count_the_entities(std::string text) const {
  auto times = [&](char c) { return Value(std::ranges::count(text, c)); };
  return {{"ctLeftAngleBrackets", times('<')}, {"ctRightAngleBrackets", times('>')}, {"ctAmpersands", times('&')}, {"ctApostrophes", times('\'')}, {"ctQuotes", times('"')}};
}

std::int64_t Validator1::easy_struct_test(Struct stooges) const {
  const Value value(std::move(stooges));
  return member(value, "moe") + member(value, "larry") + member(value, "curly");
}

Value::Array Validator1::many_types_test(Value number, Value boolean, Value string, Value real, Value time, Value bytes) const {
  return {std::move(number), std::move(boolean), std::move(string), std::move(real), std::move(time), std::move(bytes)};
}

std::string Validator1::moderate_size_array_check(Array strings) const {
  if (strings.empty() || !strings.front().get_if<std::string>() || !strings.back().get_if<std::string>())
    throw Fault(Fault::Kind::bad_arguments, "expected an array of strings with at least one");
  return *strings.front().get_if<std::string>() + *strings.back().get_if<std::string>();
}

std::int64_t Validator1::nested_struct_test(Struct years) const {
  const Value calendar(std::move(years));
  const Value* day = &calendar;
  for (std::string_view part : {"2000", "04", "01"})
    if (day) day = day->find(part);
  if (!day) throw Fault(Fault::Kind::bad_arguments, "expected a struct of years, months and days that has 2000, 04 and 01");
  return member(*day, "moe") + member(*day, "larry") + member(*day, "curly");
}

Value::Struct Validator1::simple_struct_return_test(std::int64_t number) const {
  std::int64_t thousandfold;
  if (__builtin_mul_overflow(number, 1000, &thousandfold)) throw Fault::named("OverflowError", "a thousand times " + std::to_string(number) + " does not fit into 64 bits");
  return {{"times10", number * 10}, {"times100", number * 100}, {"times1000", thousandfold}};
}

}  // namespace sluice
