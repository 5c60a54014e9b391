#pragma once
// Between Value and C++ types. One specialisation of Wire<T> per type that may stand in a method's signature.
// take() moves the content out of `from` and answers false, touching nothing, when the kind does not fit.

#include <cmath>
#include <optional>
#include <string_view>
#include <variant>

#include "rpc/value.h"

namespace sluice {

// An integer or a double, as Python's callers mix them.
using Number = std::variant<std::int64_t, double>;

template <class T>
struct Wire;  // name, take(Value&&, T&), give(T)

namespace detail {

template <class T>
struct Stored {
  static bool take(Value&& from, T& to) {
    auto* stored = from.get_if<T>();
    if (!stored) return false;
    to = std::move(*stored);
    return true;
  }
  static Value give(T value) { return Value(std::move(value)); }
};

}  // namespace detail

template <>
struct Wire<bool> : detail::Stored<bool> {
  static constexpr std::string_view name = "boolean";
};
template <>
struct Wire<std::int64_t> {
  static constexpr std::string_view name = "int";
  // Node sends integers beyond 32 bits as doubles, and Python's xmlrpc.client can send them only
  // as text: both are taken when they hold an integer exactly.
  static bool take(Value&& from, std::int64_t& to);
  static Value give(std::int64_t value) { return Value(value); }
};
template <>
struct Wire<double> {
  static constexpr std::string_view name = "double";
  static bool take(Value&& from, double& to) {
    if (auto* real = from.get_if<double>()) return to = *real, true;
    if (auto* integer = from.get_if<std::int64_t>()) return to = static_cast<double>(*integer), true;
    return false;
  }
  static Value give(double value) { return Value(value); }
};
template <>
struct Wire<Number> {
  static constexpr std::string_view name = "number";
  static bool take(Value&& from, Number& to) {
    if (auto* integer = from.get_if<std::int64_t>()) return to = *integer, true;
    if (auto* real = from.get_if<double>()) return to = *real, true;
    return false;
  }
  static Value give(Number value) {
    return std::visit([](auto v) { return Value(v); }, value);
  }
};
template <>
struct Wire<std::string> : detail::Stored<std::string> {
  static constexpr std::string_view name = "string";
};
template <>
struct Wire<Bytes> : detail::Stored<Bytes> {
  static constexpr std::string_view name = "base64";
};
template <>
struct Wire<DateTime> : detail::Stored<DateTime> {
  static constexpr std::string_view name = "dateTime.iso8601";
};
template <>
struct Wire<Value::Array> : detail::Stored<Value::Array> {
  static constexpr std::string_view name = "array";
};
template <>
struct Wire<Value::Struct> : detail::Stored<Value::Struct> {
  static constexpr std::string_view name = "struct";
};
template <>
struct Wire<Value> {
  static constexpr std::string_view name = "any";
  static bool take(Value&& from, Value& to) { return to = std::move(from), true; }
  static Value give(Value value) { return value; }
};
// An optional argument may be left out at the end of a call, or be nil.
template <class T>
struct Wire<std::optional<T>> {
  static constexpr std::string_view name = Wire<T>::name;
  static bool take(Value&& from, std::optional<T>& to) {
    if (from.is_nil()) return to.reset(), true;
    return Wire<T>::take(std::move(from), to.emplace());
  }
  static Value give(std::optional<T> value) { return value ? Wire<T>::give(std::move(*value)) : Value(); }
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

}  // namespace sluice
