#include "transports/xmlrpc/scalars.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace sluice::xmlrpc {
namespace {

bool space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

// from_chars takes no '+', and "+-1" is no number.
bool strip_plus(std::string_view& text) {
  if (!text.starts_with('+')) return true;
  text.remove_prefix(1);
  return !text.empty() && text.front() != '-';
}

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

consteval std::array<std::int8_t, 256> digit_table() {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  return table;
}
constexpr std::array<std::int8_t, 256> kDigit = digit_table();

// Takes exactly `count` digits from the front.
bool digits(std::string_view& text, std::size_t count, int& out) {
  if (text.size() < count) return false;
  out = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return true;
}

bool skip(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

// What four digits of a year can say.
constexpr DateTime kFirstTime = std::chrono::sys_days(std::chrono::year(1) / 1 / 1);
constexpr DateTime kEndOfTimes = std::chrono::sys_days(std::chrono::year(10000) / 1 / 1);

void two_digits(int n, std::string& out) {
  out += static_cast<char>('0' + n / 10);
  out += static_cast<char>('0' + n % 10);
}

}  // namespace

bool read_integer(std::string_view text, std::int64_t& out) {
  text = trimmed(text);
  if (!strip_plus(text)) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_double(std::string_view text, double& out) {
  text = trimmed(text);
  if (!strip_plus(text)) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (end != text.data() + text.size() || text.empty() || text.back() == ')') return false;  // nan(7) is C's alone
  if (error == std::errc::result_out_of_range) {
    // Beyond the range of a double it is read as Python and strtod() read it: infinite, or nothing.
    out = std::strtod(std::string(text).c_str(), nullptr);
    return true;
  }
  return error == std::errc();
}

bool read_base64(std::string_view text, std::string& out) {
  out.reserve(out.size() + text.size() / 4 * 3);
  unsigned block = 0, count = 0, padding = 0;
  for (char c : text) {
    if (space(c)) continue;
    if (c == '=') {
      if (count < 2 || ++padding + count > 4) return false;
      continue;
    }
    const int digit = kDigit[static_cast<unsigned char>(c)];
    if (digit < 0 || padding > 0) return false;
    block = block << 6 | static_cast<unsigned>(digit);
    if (++count == 4) {
      out += static_cast<char>(block >> 16);
      out += static_cast<char>(block >> 8);
      out += static_cast<char>(block);
      block = count = 0;
    }
  }
  if (count == 0) return padding == 0;
  if (count + padding != 4) return false;
  block <<= 6 * padding;
  out += static_cast<char>(block >> 16);
  if (count == 3) out += static_cast<char>(block >> 8);
  return true;
}

bool read_datetime(std::string_view text, DateTime& out) {
  text = trimmed(text);
  int year, month, day, hour = 0, minute = 0, second = 0;
  if (!digits(text, 4, year)) return false;
  const bool dashes = skip(text, '-');
  if (!digits(text, 2, month) || (dashes && !skip(text, '-')) || !digits(text, 2, day)) return false;
  if (!skip(text, 'T') && !skip(text, ' ')) return false;
  if (!digits(text, 2, hour) || !skip(text, ':') || !digits(text, 2, minute) || !skip(text, ':') || !digits(text, 2, second)) return false;
  std::int64_t micros = 0;
  if (skip(text, '.')) {
    std::int64_t unit = 100'000;
    if (text.empty() || text.front() < '0' || text.front() > '9') return false;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1), unit /= 10) micros += (text.front() - '0') * unit;
  }
  int offset = 0;
  if (!text.empty() && !skip(text, 'Z')) {
    const bool west = text.front() == '-';
    int hours, minutes = 0;
    if ((!west && text.front() != '+') || (text.remove_prefix(1), !digits(text, 2, hours))) return false;
    const bool colon = skip(text, ':');
    if ((colon || !text.empty()) && !digits(text, 2, minutes)) return false;
    if (hours > 23 || minutes > 59) return false;
    offset = (hours * 60 + minutes) * (west ? -1 : 1);
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  // 60 is a leap second; it is read as the second after it.
  if (!text.empty() || year == 0 || !date.ok() || hour > 23 || minute > 59 || second > 60) return false;
  out = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute - offset) + std::chrono::seconds(second) +
        std::chrono::microseconds(micros);
  return out >= kFirstTime && out < kEndOfTimes;
}

void write_double(double d, std::string& out) {
  if (std::isnan(d)) {
    out += "nan";
    return;
  }
  if (std::isinf(d)) {
    out += d < 0 ? "-inf" : "inf";
    return;
  }
  char text[40];
  const double size = std::fabs(d);
  // XML-RPC's own grammar has no exponent: used only where the digits alone would not be short.
  const bool plain = size == 0 || (size >= 1e-5 && size < 1e16);
  auto [end, error] = plain ? std::to_chars(text, text + sizeof text, d, std::chars_format::fixed) : std::to_chars(text, text + sizeof text, d);
  out.append(text, end);
  if (plain && std::string_view(text, static_cast<std::size_t>(end - text)).find('.') == std::string_view::npos) out += ".0";
}

void write_base64(std::string_view octets, std::string& out) {
  out.reserve(out.size() + octets.size() / 3 * 4 + 4);
  auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(octets[i])); };
  std::size_t i = 0;
  for (; i + 3 <= octets.size(); i += 3) {
    const unsigned block = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    const char four[4] = {kAlphabet[block >> 18], kAlphabet[block >> 12 & 63], kAlphabet[block >> 6 & 63], kAlphabet[block & 63]};
    out.append(four, 4);
  }
  if (const std::size_t left = octets.size() - i; left > 0) {
    const unsigned block = byte(i) << 16 | (left == 2 ? byte(i + 1) << 8 : 0);
    out += kAlphabet[block >> 18];
    out += kAlphabet[block >> 12 & 63];
    out += left == 2 ? kAlphabet[block >> 6 & 63] : '=';
    out += '=';
  }
}

bool write_datetime(DateTime when, std::string& out) {
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(when - day));
  if (when < kFirstTime || when >= kEndOfTimes) return false;
  const int year = static_cast<int>(date.year());
  two_digits(year / 100, out);
  two_digits(year % 100, out);
  two_digits(static_cast<int>(static_cast<unsigned>(date.month())), out);
  two_digits(static_cast<int>(static_cast<unsigned>(date.day())), out);
  out += 'T';
  two_digits(static_cast<int>(time.hours().count()), out);
  out += ':';
  two_digits(static_cast<int>(time.minutes().count()), out);
  out += ':';
  two_digits(static_cast<int>(time.seconds().count()), out);
  return true;
}

}  // namespace sluice::xmlrpc
