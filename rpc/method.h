#pragma once
// Method: a C++ function made callable by name. Its signature is read from the function's type, so
// that dispatch, system.methodSignature and _zerorpc_inspect cannot disagree.

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rpc/call.h"
#include "rpc/convert.h"
#include "rpc/reply.h"

namespace sluice {

struct Parameter {
  std::string type;  // a name of Wire<T>
  std::string name;
  bool optional = false;
};

struct Signature {
  std::string result;  // a name of Wire<T>; of a stream, its items'
  std::vector<Parameter> parameters;
  bool streams = false;
};

// What a router, a retrying client and a load shedder need to know.
enum class Effect : std::uint8_t { read, write };

struct Method {
  // Runs a call. On the caller's loop, must not block it; may keep the Reply and answer later. A
  // Fault that it throws becomes the answer. The Call lives until this returns: what a later answer
  // needs is moved out of it.
  using Body = std::function<void(Call&, Reply&&)>;

  std::string name;
  std::string help;
  Effect effect = Effect::read;
  Signature signature;
  Body body;
  bool waits = false;     // answers later: counted among the calls in flight
  bool blocking = false;  // may take long on the CPU or block: runs on the gateway's worker threads
  bool free_sql = false;  // runs, or steers, statements that the caller wrote: not for callers of named statements alone
};

// The typed Reply of a method that answers later: void query(Answer<Value::Struct>, std::string).
template <class T>
class Answer {
 public:
  explicit Answer(Reply&& reply) noexcept : reply_(std::move(reply)) {}
  void operator()(T value) { reply_(Wire<T>::give(std::move(value))); }
  void operator()(Fault fault) { reply_(std::move(fault)); }
  Reply& reply() noexcept { return reply_; }

 private:
  Reply reply_;
};

// The same for a method that answers with a stream of T.
template <class T>
class StreamAnswer {
 public:
  explicit StreamAnswer(Reply&& reply) noexcept : reply_(std::move(reply)) {}
  void operator()(std::unique_ptr<Source> source) { reply_(std::move(source)); }
  void operator()(Fault fault) { reply_(std::move(fault)); }
  Reply& reply() noexcept { return reply_; }

 private:
  Reply reply_;
};

// The texts of the two ways in which arguments do not fit, in the words of Python.
Fault wrong_count(const Method&, std::size_t given);
Fault wrong_type(const Method&, std::size_t index, const Value& came);

namespace detail {

template <class F>
struct Traits;
template <class C, class R, class... A>
struct Traits<R (C::*)(A...)> {
  using Result = R;
  using Args = std::tuple<std::decay_t<A>...>;
};
template <class C, class R, class... A>
struct Traits<R (C::*)(A...) const> : Traits<R (C::*)(A...)> {};

// What stands first in a function's parameters and is not on the wire.
template <class Tuple>
struct Split {
  using Wired = Tuple;
  using First = void;
};
template <class T, class... A>
struct Split<std::tuple<Answer<T>, A...>> {
  using Wired = std::tuple<A...>;
  using First = Answer<T>;
};
template <class T, class... A>
struct Split<std::tuple<StreamAnswer<T>, A...>> {
  using Wired = std::tuple<A...>;
  using First = StreamAnswer<T>;
};

template <class T>
struct ResultOf;
template <class T>
struct ResultOf<Answer<T>> {
  using type = T;
  static constexpr bool streams = false;
};
template <class T>
struct ResultOf<StreamAnswer<T>> {
  using type = T;
  static constexpr bool streams = true;
};

template <class Args, std::size_t... I>
Args unpack(const Method& method, Value::Array& given, std::index_sequence<I...>) {
  constexpr std::size_t most = sizeof...(I);
  constexpr std::size_t least = (std::size_t{0} + ... + (is_optional<std::tuple_element_t<I, Args>> ? 0 : 1));
  if (given.size() < least || given.size() > most) throw wrong_count(method, given.size());
  Args args;
  [[maybe_unused]] auto one = [&](std::size_t index, auto& to) {
    if (index < given.size() && !Wire<std::remove_reference_t<decltype(to)>>::take(std::move(given[index]), to))
      throw wrong_type(method, index, given[index]);
  };
  (one(I, std::get<I>(args)), ...);
  return args;
}

template <class Args, std::size_t... I>
std::vector<Parameter> parameters(const std::vector<std::string>& names, std::index_sequence<I...>) {
  return {Parameter{std::string(Wire<std::tuple_element_t<I, Args>>::name), names.at(I), is_optional<std::tuple_element_t<I, Args>>}...};
}

}  // namespace detail

// method("add", this, &Calc::add, {"a", "b"}, "The sum of two numbers.")
//
// `f` is a member function of one of three shapes: R f(args...) answers at once;
// void f(Answer<R>, args...) answers when it calls the Answer; void f(StreamAnswer<R>, args...)
// answers with a Source. `self` outlives every call.
template <class Object, class F>
Method method(std::string name, Object* self, F f, std::vector<std::string> names, std::string help, Effect effect = Effect::read) {
  using Traits = detail::Traits<F>;
  using Split = detail::Split<typename Traits::Args>;
  using Args = typename Split::Wired;
  constexpr auto indices = std::make_index_sequence<std::tuple_size_v<Args>>{};
  constexpr bool later = !std::is_void_v<typename Split::First>;

  Method m;
  m.name = std::move(name);
  m.help = std::move(help);
  m.effect = effect;
  m.waits = later;
  m.signature.parameters = detail::parameters<Args>(names, indices);
  if constexpr (later) {
    m.signature.result = Wire<typename detail::ResultOf<typename Split::First>::type>::name;
    m.signature.streams = detail::ResultOf<typename Split::First>::streams;
  } else if constexpr (std::is_void_v<typename Traits::Result>) {
    m.signature.result = "nil";
  } else {
    m.signature.result = Wire<typename Traits::Result>::name;
  }

  // For the messages alone: the body must not point into a Method that will be moved.
  auto described = std::make_shared<const Method>(m);
  m.body = [self, f, described, indices](Call& call, Reply&& reply) {
    Args args = detail::unpack<Args>(*described, call.args, indices);
    if constexpr (later) {
      std::apply([&](auto&&... a) { (self->*f)(typename Split::First(std::move(reply)), std::move(a)...); }, std::move(args));
    } else if constexpr (std::is_void_v<typename Traits::Result>) {
      std::apply([&](auto&&... a) { (self->*f)(std::move(a)...); }, std::move(args));
      reply(Value());
    } else {
      using R = typename Traits::Result;
      reply(Wire<R>::give(std::apply([&](auto&&... a) -> R { return (self->*f)(std::move(a)...); }, std::move(args))));
    }
  };
  return m;
}

}  // namespace sluice
