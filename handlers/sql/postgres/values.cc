#include "handlers/sql/postgres/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "rpc/fault.h"

namespace sluice::sql::postgres {
namespace {

enum : Oid {
  kBool = 16, kBytea = 17, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kOid = 26, kFloat4 = 700, kFloat8 = 701,
  kTimestamp = 1114, kTimestamptz = 1184,
};

struct ArrayType {
  Oid array, element;
};
// Common types; the elements of others than those above are texts.
constexpr std::array<ArrayType, 22> kArrays{{{1000, kBool}, {1001, kBytea}, {1005, kInt2}, {1007, kInt4}, {1016, kInt8}, {1021, kFloat4}, {1022, kFloat8},
                                             {1028, kOid}, {1115, kTimestamp}, {1185, kTimestamptz}, {1009, kText}, {1015, kText}, {1014, kText}, {1002, kText},
                                             {1003, kText}, {1231, kText}, {2951, kText}, {199, kText}, {3807, kText}, {1182, kText}, {1183, kText}, {1187, kText}}};

constexpr int kDeepest = 64;  // arrays within arrays, as parameters

template <class T>
bool number(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool two(std::string_view text, std::size_t at, unsigned& out) { return text.size() >= at + 2 && number(text.substr(at, 2), out); }

// "2026-01-31 23:59:59.123456+00"
bool timestamp(std::string_view text, DateTime& out) {
  using namespace std::chrono;
  int y = 0;
  unsigned month = 0, day = 0, h = 0, m = 0, s = 0;
  if (text.ends_with("+00")) text.remove_suffix(3);
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[10] != ' ' || text[13] != ':' || text[16] != ':') return false;
  if (!number(text.substr(0, 4), y) || !two(text, 5, month) || !two(text, 8, day) || !two(text, 11, h) || !two(text, 14, m) || !two(text, 17, s)) return false;
  std::int64_t micros = 0;
  if (text.size() > 19) {
    const auto fraction = text.substr(20);
    if (text[19] != '.' || fraction.empty() || fraction.size() > 6 || !number(fraction, micros)) return false;
    for (auto digits = fraction.size(); digits < 6; ++digits) micros *= 10;
  }
  const year_month_day date{year(y), std::chrono::month(month), std::chrono::day(day)};
  if (!date.ok()) return false;
  out = DateTime(sys_days(date)) + hours(h) + minutes(m) + seconds(s) + microseconds(micros);
  return true;
}

void two_digits(std::string& out, unsigned n) {
  out += static_cast<char>('0' + n / 10 % 10);
  out += static_cast<char>('0' + n % 10);
}

std::string write_timestamp(DateTime when) {
  using namespace std::chrono;
  const auto day = floor<days>(when);
  const year_month_day date(day);
  const hh_mm_ss time(when - day);
  const int y = static_cast<int>(date.year());
  const bool bc = y <= 0;
  std::string digits = std::to_string(bc ? 1 - y : y);
  std::string out = std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
  out += '-';
  two_digits(out, static_cast<unsigned>(date.month()));
  out += '-';
  two_digits(out, static_cast<unsigned>(date.day()));
  out += ' ';
  two_digits(out, static_cast<unsigned>(time.hours().count()));
  out += ':';
  two_digits(out, static_cast<unsigned>(time.minutes().count()));
  out += ':';
  two_digits(out, static_cast<unsigned>(time.seconds().count()));
  const std::string micros = std::to_string(time.subseconds().count());
  out += "." + std::string(6 - micros.size(), '0') + micros + "+00";
  if (bc) out += " BC";
  return out;
}

std::string write_double(double d) {
  if (std::isnan(d)) return "NaN";
  if (std::isinf(d)) return d > 0 ? "Infinity" : "-Infinity";
  char buffer[32];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, d).ptr);
}

constexpr char kHex[] = "0123456789abcdef";

std::string hex(std::string_view octets) {
  std::string out = "\\x";
  out.reserve(2 + 2 * octets.size());
  for (unsigned char c : octets) {
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
  return out;
}

void write_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

[[noreturn]] void too_deep() { throw Fault(Fault::Kind::bad_arguments, "a parameter has more than " + std::to_string(kDeepest) + " arrays and structs within each other"); }

void write_json(std::string& out, const Value& value, int depth) {
  if (depth > kDeepest) too_deep();
  if (auto* array = value.get_if<Value::Array>()) {
    out += '[';
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ',';
      write_json(out, (*array)[i], depth + 1);
    }
    out += ']';
  } else if (auto* members = value.get_if<Value::Struct>()) {
    out += '{';
    for (std::size_t i = 0; i < members->size(); ++i) {
      if (i > 0) out += ',';
      write_json_string(out, (*members)[i].first);
      out += ':';
      write_json(out, (*members)[i].second, depth + 1);
    }
    out += '}';
  } else if (value.is_nil()) {
    out += "null";
  } else if (auto* flag = value.get_if<bool>()) {
    out += *flag ? "true" : "false";
  } else if (auto* real = value.get_if<double>(); value.get_if<std::int64_t>() || value.get_if<std::uint64_t>() || (real && std::isfinite(*real))) {
    out += encode(value).text;
  } else {
    write_json_string(out, encode(value).text);
  }
}

void write_array(std::string& out, const Value::Array& array, int depth) {
  if (depth > kDeepest) too_deep();
  out += '{';
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (i > 0) out += ',';
    if (auto* inner = array[i].get_if<Value::Array>()) {
      write_array(out, *inner, depth + 1);
    } else if (array[i].is_nil()) {
      out += "NULL";
    } else {
      std::string text;
      if (auto* bytes = array[i].get_if<Bytes>())
        text = hex(bytes->octets);
      else
        text = encode(array[i]).text;
      out += '"';
      for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      out += '"';
    }
  }
  out += '}';
}

void refuse_nul(const std::string& text) {
  if (const auto at = text.find('\0'); at != text.npos)
    throw Fault(Fault::Kind::bad_arguments, "a parameter has a NUL character at position " + std::to_string(at) + ", which a PostgreSQL text cannot hold; send octets (base64, Binary) for bytea");
}

// An array literal as the server writes it (8.15.6). Answers false when it is none.
bool read_array(std::string_view text, std::size_t& at, Oid element, Value::Array& out, int depth) {
  if (depth > 6 || at >= text.size() || text[at] != '{') return false;  // the server's own limit of dimensions
  ++at;
  if (at < text.size() && text[at] == '}') return ++at, true;
  while (at < text.size()) {
    if (text[at] == '{') {
      Value::Array inner;
      if (!read_array(text, at, element, inner, depth + 1)) return false;
      out.emplace_back(std::move(inner));
    } else if (text[at] == '"') {
      std::string item;
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\' && ++at == text.size()) return false;
        item += text[at];
      }
      if (at == text.size()) return false;
      ++at;
      out.push_back(decode(element, item));
    } else {
      const auto end = std::min(text.find_first_of(",}", at), text.size());
      const auto item = text.substr(at, end - at);
      out.push_back(item == "NULL" ? Value() : decode(element, item));
      at = end;
    }
    if (at >= text.size()) return false;
    if (text[at] == '}') return ++at, true;
    if (text[at++] != ',') return false;
  }
  return false;
}

int nibble(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

}  // namespace

Parameter encode(const Value& value) {
  Parameter out;
  switch (value.kind()) {
    case Value::Kind::nil: out.null = true; break;
    case Value::Kind::boolean:
      out.type = kBool;
      out.text = *value.get_if<bool>() ? "t" : "f";
      break;
    case Value::Kind::integer: {
      const auto n = *value.get_if<std::int64_t>();
      out.type = std::in_range<std::int32_t>(n) ? kInt4 : kInt8;
      out.text = std::to_string(n);
      break;
    }
    case Value::Kind::big: out.text = std::to_string(*value.get_if<std::uint64_t>()); break;
    case Value::Kind::real:
      out.type = kFloat8;
      out.text = write_double(*value.get_if<double>());
      break;
    case Value::Kind::string:
      out.text = *value.get_if<std::string>();
      refuse_nul(out.text);
      break;
    case Value::Kind::bytes:
      out.type = kBytea;
      out.binary = true;
      out.text = value.get_if<Bytes>()->octets;
      break;
    case Value::Kind::datetime:
      out.type = kTimestamptz;
      out.text = write_timestamp(*value.get_if<DateTime>());
      break;
    case Value::Kind::array:
      write_array(out.text, *value.get_if<Value::Array>(), 0);
      refuse_nul(out.text);
      break;
    case Value::Kind::structure: write_json(out.text, value, 0); break;
    case Value::Kind::extension: throw Fault(Fault::Kind::bad_arguments, "a parameter is a msgpack extension, which has no form in PostgreSQL");
  }
  return out;
}

Value decode(Oid type, std::string_view text) {
  switch (type) {
    case kBool: return text == "t";
    case kInt2: case kInt4: case kInt8: case kOid:
      if (std::int64_t n = 0; number(text, n)) return n;
      break;
    case kFloat4: case kFloat8: {
      if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
      if (text == "Infinity") return std::numeric_limits<double>::infinity();
      if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
      if (double d = 0; number(text, d)) return d;
      break;
    }
    case kBytea:
      if (text.starts_with("\\x") && text.size() % 2 == 0) {
        std::string octets;
        octets.reserve(text.size() / 2 - 1);
        for (std::size_t i = 2; i < text.size(); i += 2) octets += static_cast<char>(nibble(text[i]) << 4 | nibble(text[i + 1]));
        return Bytes{std::move(octets)};
      }
      break;
    case kTimestamp: case kTimestamptz:
      if (DateTime when; timestamp(text, when)) return when;
      break;
    default:
      if (auto array = std::ranges::find(kArrays, type, &ArrayType::array); array != kArrays.end()) {
        Value::Array items;
        std::size_t at = 0;
        if (read_array(text, at, array->element, items, 0) && at == text.size()) return items;
      }
  }
  return text;
}

}  // namespace sluice::sql::postgres
