#pragma once
// The methods of the recorded server, as a handler: what the replayed conversations call.

#include <memory>

#include "rpc/handler.h"
#include "rpc/loop.h"

namespace sluice::zerorpc {

// 0, 1, ... up to `count`, as the reader asks for them; counts in `most` the largest batch that was asked for.
class Counting : public Source {
 public:
  using Item = Value (*)(std::int64_t);
  Counting(std::int64_t count, Item item, std::optional<Fault> breaks = {}) : count_(count), item_(item), breaks_(std::move(breaks)) {}
  void pull(std::size_t most, Receiver receive) override {
    Batch batch;
    for (; most > 0 && at_ < count_; --most) batch.items.push_back(item_(at_++));
    pulled() = at_;
    if (at_ == count_) {
      batch.end = true;
      batch.fault = breaks_;
    }
    receive(std::move(batch));
  }
  ~Counting() override { ++ended(); }

  static std::atomic<std::int64_t>& pulled() {  // of the stream that was read last
    static std::atomic<std::int64_t> count{0};
    return count;
  }
  static std::atomic<int>& ended() {
    static std::atomic<int> count{0};
    return count;
  }

 private:
  std::int64_t count_, at_ = 0;
  Item item_;
  std::optional<Fault> breaks_;
};

class RecordedServer : public Handler {
 public:
  std::string_view name() const override { return ""; }

  // The recorded sleeps are divided by this.
  double scale = 1;
  std::atomic<int> cancelled{0};

  Value add(Value a, Value b) {
    if (auto* x = a.get_if<std::int64_t>(), *y = b.get_if<std::int64_t>(); x && y) return *x + *y;
    double x, y;
    if (!Wire<double>::take(std::move(a), x) || !Wire<double>::take(std::move(b), y))
      throw Fault(Fault::Kind::bad_arguments, "unsupported operand type(s) for +: 'int' and 'str'");
    return x + y;
  }
  Value defaults(Value a, std::optional<Value> b, std::optional<Value> c) {
    return Value::Array{std::move(a), b ? std::move(*b) : Value(2), c ? std::move(*c) : Value("x")};
  }
  Value echo(Value x) { return x; }
  void none() {}
  void boom() { throw Fault::named("ValueError", "bad thing"); }
  void boom_custom() { throw Fault::named("CaptureError", "héllo 世界"); }
  void boom_empty() { throw Fault::named("KeyError", "'k'"); }
  void bigret() { throw Fault::named("OverflowError", "Integer value out of range"); }
  void dateret() { throw Fault::named("TypeError", "can not serialize 'datetime.datetime' object"); }
  Value tupleret() { return Value::Array{1, 2}; }
  void sleep(Answer<Value> answer, double seconds) {
    struct Sleeper {
      explicit Sleeper(Reply&& r) : reply(std::move(r)), timer(reply.loop()) {}
      Reply reply;
      Timer timer;
    };
    auto sleeper = std::make_shared<Sleeper>(std::move(answer.reply()));
    sleeper->reply.on_cancel([this, sleeper] {
      ++cancelled;
      sleeper->timer.stop();
    });
    auto* timer = &sleeper->timer;
    timer->start(std::chrono::milliseconds(static_cast<int>(seconds * 1000 / scale)), [sleeper] { sleeper->reply(Value("slept")); });
  }
  void count(StreamAnswer<std::int64_t> answer, std::int64_t n) {
    answer(std::make_unique<Counting>(n, [](std::int64_t i) { return Value(i); }));
  }
  void empty(StreamAnswer<std::int64_t> answer) { count(std::move(answer), 0); }
  void breaks(StreamAnswer<std::int64_t> answer, std::int64_t n) {
    answer(std::make_unique<Counting>(
        n, [](std::int64_t i) { return Value(i); }, Fault::named("CaptureError", "stream broke")));
  }
  void rows(StreamAnswer<Value> answer, std::int64_t n) {
    answer(std::make_unique<Counting>(n, [](std::int64_t i) { return Value(Value::Array{i, "row " + std::to_string(i), Value()}); }));
  }

  std::vector<Method> methods() override {
    using R = RecordedServer;
    std::vector<Method> out;
    out.push_back(method("add", this, &R::add, {"a", "b"}, "Add two numbers.\n\nSecond paragraph."));
    out.push_back(method("default", this, &R::defaults, {"a", "b", "c"}, "Default arguments."));
    out.push_back(method("echo", this, &R::echo, {"x"}, ""));
    out.push_back(method("none", this, &R::none, {}, ""));
    out.push_back(method("boom", this, &R::boom, {}, ""));
    out.push_back(method("boom_custom", this, &R::boom_custom, {}, ""));
    out.push_back(method("boom_empty", this, &R::boom_empty, {}, ""));
    out.push_back(method("bigret", this, &R::bigret, {}, ""));
    out.push_back(method("dateret", this, &R::dateret, {}, ""));
    out.push_back(method("tupleret", this, &R::tupleret, {}, ""));
    out.push_back(method("sleep", this, &R::sleep, {"s"}, ""));
    out.push_back(method("count", this, &R::count, {"n"}, ""));
    out.push_back(method("empty", this, &R::empty, {}, ""));
    out.push_back(method("breaks", this, &R::breaks, {"n"}, ""));
    out.push_back(method("rows", this, &R::rows, {"n"}, ""));
    Method varargs;  // any number of arguments: no signature of C++ says that
    varargs.name = "varargs";
    varargs.body = [](Call& call, Reply&& reply) { reply(Value(std::move(call.args))); };
    out.push_back(std::move(varargs));
    return out;
  }
};

}  // namespace sluice::zerorpc
