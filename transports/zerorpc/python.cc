#include "transports/zerorpc/python.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace sluice::zerorpc {
namespace {

constexpr std::size_t kMostArguments = 65'536;  // that a text or octets may be spread into

std::string escaped(std::string_view text, bool ascii) {
  const char quote = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\\' || c == quote) {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F || (ascii && byte > 0x7F)) {
      std::array<char, 5> hex;
      std::snprintf(hex.data(), hex.size(), "\\x%02x", byte);
      out += hex.data();
    } else {
      out += c;
    }
  }
  return out + quote;
}

Fault unhashable(std::string_view type) { return Fault(Fault::Kind::bad_arguments, "unhashable type: '" + std::string(type) + "'"); }
Fault no_such_name(std::string name) { return Fault(Fault::Kind::no_such_method, std::move(name)); }

std::string_view python_type(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::nil: return "NoneType";
    case Value::Kind::boolean: return "bool";
    case Value::Kind::integer:
    case Value::Kind::big: return "int";
    case Value::Kind::real: return "float";
    case Value::Kind::datetime: return "Timestamp";
    default: return "ExtType";
  }
}

Fault too_many(const std::string& method, std::size_t count) {
  return Fault(Fault::Kind::too_large, method + "() was given " + std::to_string(count) + " arguments, more than " +
                                           std::to_string(kMostArguments) + "; args should be an array");
}

}  // namespace

std::string python_repr(std::string_view text) { return escaped(text, false); }
std::string python_repr_bytes(std::string_view octets) { return "b" + escaped(octets, true); }

std::variant<std::string, Fault> method_name(Value&& name) {
  if (auto* text = name.get_if<std::string>()) return std::move(*text);
  if (auto* octets = name.get_if<Bytes>()) return no_such_name(python_repr_bytes(octets->octets));
  if (name.get_if<Value::Array>()) return unhashable("list");
  if (name.get_if<Value::Struct>()) return unhashable("dict");
  if (auto* truth = name.get_if<bool>()) return no_such_name(*truth ? "True" : "False");
  if (auto* integer = name.get_if<std::int64_t>()) return no_such_name(std::to_string(*integer));
  if (name.is_nil()) return no_such_name("None");
  return no_such_name(describe(name));
}

std::variant<Value::Array, Fault> spread_arguments(const std::string& method, Value&& args) {
  if (auto* array = args.get_if<Value::Array>()) return std::move(*array);
  Value::Array out;
  if (auto* text = args.get_if<std::string>()) {
    if (text->size() > 4 * kMostArguments) return too_many(method, text->size());
    for (std::size_t at = 0; at < text->size();) {
      std::size_t end = at + 1;
      while (end < text->size() && (static_cast<unsigned char>((*text)[end]) & 0xC0) == 0x80) ++end;
      out.emplace_back(text->substr(at, end - at));
      at = end;
    }
    return out;
  }
  if (auto* octets = args.get_if<Bytes>()) {
    if (octets->octets.size() > kMostArguments) return too_many(method, octets->octets.size());
    for (char c : octets->octets) out.emplace_back(static_cast<unsigned char>(c));
    return out;
  }
  if (auto* members = args.get_if<Value::Struct>()) {
    for (auto& [key, value] : *members) out.emplace_back(std::move(key));
    return out;
  }
  return Fault(Fault::Kind::bad_arguments,
               method + "() argument after * must be an iterable, not " + std::string(python_type(args)) + "; args should be an array");
}

std::string python_exception(const Fault& fault) { return std::string(fault.exception_name()) + "(" + python_repr(fault.message()) + ")"; }

}  // namespace sluice::zerorpc
