#include "handlers/sql/json.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "rpc/fault.h"

namespace sluice::sql {
namespace {

constexpr int kDeepest = 64;

[[noreturn]] void refuse(const std::string& what) { throw Fault(Fault::Kind::bad_arguments, "a parameter that becomes JSON holds " + what); }

void write_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

void write(std::string& out, const Value& value, int depth) {
  if (depth > kDeepest) refuse("more than " + std::to_string(kDeepest) + " arrays and structs within each other");
  switch (value.kind()) {
    case Value::Kind::nil: out += "null"; break;
    case Value::Kind::boolean: out += *value.get_if<bool>() ? "true" : "false"; break;
    case Value::Kind::integer: out += std::to_string(*value.get_if<std::int64_t>()); break;
    case Value::Kind::big: out += std::to_string(*value.get_if<std::uint64_t>()); break;
    case Value::Kind::real: {
      const double d = *value.get_if<double>();
      if (!std::isfinite(d)) refuse("a number that is not finite");
      char buffer[32];
      out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, d).ptr);
      break;
    }
    case Value::Kind::string: write_string(out, *value.get_if<std::string>()); break;
    case Value::Kind::datetime: write_string(out, write_time(*value.get_if<DateTime>())); break;
    case Value::Kind::array:
      out += '[';
      for (bool first = true; const Value& item : *value.get_if<Value::Array>()) {
        if (!std::exchange(first, false)) out += ',';
        write(out, item, depth + 1);
      }
      out += ']';
      break;
    case Value::Kind::structure:
      out += '{';
      for (bool first = true; const auto& [name, item] : *value.get_if<Value::Struct>()) {
        if (!std::exchange(first, false)) out += ',';
        write_string(out, name);
        out += ':';
        write(out, item, depth + 1);
      }
      out += '}';
      break;
    case Value::Kind::bytes: refuse("octets, which JSON has no form for; send them as a parameter of their own");
    case Value::Kind::extension: refuse("a msgpack extension");
  }
}

}  // namespace

std::string to_json(const Value& value) {
  std::string out;
  write(out, value, 0);
  return out;
}

std::string write_time(DateTime when) {
  using namespace std::chrono;
  const auto day = floor<days>(when);
  const year_month_day date(day);
  const hh_mm_ss time(when - day);
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d.%06d", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()), static_cast<int>(time.subseconds().count()));
  return text;
}

}  // namespace sluice::sql
