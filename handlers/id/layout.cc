#include "handlers/id/layout.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace sluice::id {
namespace {

constexpr Layout kJs53{31, 6, 16, 1000, kDefaultEpochMs};

std::string date_of(std::int64_t unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(unix_ms)};
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(at)};
  char out[32];
  std::snprintf(out, sizeof out, "%04d-%02u-%02u", static_cast<int>(day.year()), static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()));
  return out;
}

// Numbers with `between` between them, and nothing else.
std::vector<std::int64_t> numbers(std::string_view text, char between) {
  std::vector<std::int64_t> out;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    std::int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 0) return {};
    out.push_back(number);
    if (next == end) return out;
    if (*next != between) return {};
    at = next + 1;
  }
}

}  // namespace

Layout::Parts Layout::parts(std::int64_t id) const noexcept {
  const std::int64_t tick = id >> (worker_bits + sequence_bits);
  return {unix_ms(tick), (id >> sequence_bits) & (workers() - 1), id & (per_tick() - 1)};
}

std::string Layout::describe() const {
  return std::to_string(time_bits) + "/" + std::to_string(worker_bits) + "/" + std::to_string(sequence_bits) + " " + std::to_string(tick_ms) + "ms " + date_of(epoch_ms);
}

Space parse_space(std::string_view text) {
  const auto refuse = [&](const std::string& what) {
    return std::invalid_argument("id.spaces: '" + std::string(text) + "': " + what + "; a space is written as 'NAME', 'NAME layout=js53' or 'NAME layout=41/10/12 epoch=2025-01-01'");
  };
  Space space;
  space.name.clear();
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.empty()) continue;
    const std::int64_t epoch = space.layout.epoch_ms;
    if (word == "layout=js53") {
      space.layout = kJs53;
      space.layout.epoch_ms = epoch;
    } else if (word.starts_with("layout=")) {
      const auto bits = numbers(word.substr(7), '/');
      if (bits.size() != 3 || bits[0] < 30 || bits[0] > 45 || bits[1] > 20 || bits[2] < 1 || bits[2] > 22 || bits[0] + bits[1] + bits[2] > 63)
        throw refuse("a layout is time/worker/sequence bits: 30 to 45, 0 to 20 and 1 to 22, 63 at most together");
      space.layout.time_bits = static_cast<int>(bits[0]);
      space.layout.worker_bits = static_cast<int>(bits[1]);
      space.layout.sequence_bits = static_cast<int>(bits[2]);
      space.layout.tick_ms = 1;
    } else if (word.starts_with("epoch=")) {
      const auto date = numbers(word.substr(6), '-');
      if (date.size() != 3) throw refuse("an epoch is a date, YYYY-MM-DD");
      const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(date[0])), std::chrono::month(static_cast<unsigned>(date[1])), std::chrono::day(static_cast<unsigned>(date[2]))};
      if (!day.ok() || date[0] < 1970 || date[0] > 9999) throw refuse("there is no such date as " + std::string(word.substr(6)));
      space.layout.epoch_ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::sys_days(day).time_since_epoch()).count();
    } else if (space.name.empty() && word.find('=') == word.npos) {
      if (word.size() > 64) throw refuse("a name has 64 bytes at most");
      space.name = word;
    } else {
      throw refuse("'" + std::string(word) + "' is neither a layout nor an epoch");
    }
  }
  if (space.name.empty()) throw refuse("the name is missing");
  return space;
}

}  // namespace sluice::id
