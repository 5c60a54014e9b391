#include "rpc/value.h"

#include <array>
#include <cstdio>

namespace sluice {
namespace {

constexpr std::size_t kShown = 40;  // characters of a text that a message repeats

// Quoted, clipped at a character's border, and free of what could break a log line.
std::string quoted(std::string_view text) {
  std::string out = "'";
  std::size_t end = std::min(text.size(), kShown);
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  for (char c : text.substr(0, end)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  out += end < text.size() ? "...'" : "'";
  return out;
}

std::string shortest(double d) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.17g", d);
  return buffer;
}

}  // namespace

const Value* Value::find(std::string_view key) const noexcept {
  if (auto* members = get_if<Struct>())
    for (auto& [name, value] : *members)
      if (name == key) return &value;
  return nullptr;
}

std::string_view kind_name(Value::Kind kind) noexcept {
  static constexpr std::array<std::string_view, 11> kNames{
      "nil",    "boolean",          "int",   "int",    "double",
      "string", "base64", "dateTime.iso8601", "array", "struct", "extension"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::size_t footprint(const Value& value) noexcept {
  std::size_t bytes = 16;
  if (auto* text = value.get_if<std::string>())
    bytes += text->size();
  else if (auto* octets = value.get_if<Bytes>())
    bytes += octets->octets.size();
  else if (auto* extension = value.get_if<Extension>())
    bytes += extension->octets.size();
  else if (auto* items = value.get_if<Value::Array>())
    for (const Value& item : *items) bytes += footprint(item);
  else if (auto* members = value.get_if<Value::Struct>())
    for (const auto& [key, member] : *members) bytes += key.size() + footprint(member);
  return bytes;
}

std::string describe(const Value& value) {
  std::string name(kind_name(value.kind()));
  switch (value.kind()) {
    case Value::Kind::nil: return name;
    case Value::Kind::boolean: return name + (*value.get_if<bool>() ? " true" : " false");
    case Value::Kind::integer: return name + " " + std::to_string(*value.get_if<std::int64_t>());
    case Value::Kind::big: return name + " " + std::to_string(*value.get_if<std::uint64_t>());
    case Value::Kind::real: return name + " " + shortest(*value.get_if<double>());
    case Value::Kind::string: return name + " " + quoted(*value.get_if<std::string>());
    case Value::Kind::bytes: return name + " of " + std::to_string(value.get_if<Bytes>()->octets.size()) + " bytes";
    case Value::Kind::datetime: return name;
    case Value::Kind::array: return name + " of " + std::to_string(value.get_if<Value::Array>()->size());
    case Value::Kind::structure: return name + " of " + std::to_string(value.get_if<Value::Struct>()->size());
    case Value::Kind::extension: return name + " type " + std::to_string(value.get_if<Extension>()->type);
  }
  return name;
}

}  // namespace sluice
