#include "handlers/sql/mariadb/gtid.h"

#include <algorithm>
#include <charconv>

namespace sluice::sql::mariadb {

using cluster::Judgement;

namespace {

bool read_gtid(std::string_view text, Mark& out) {
  const char *at = text.data(), *end = text.data() + text.size();
  auto number = [&](auto& into) {
    const auto [after, error] = std::from_chars(at, end, into);
    at = after;
    return error == std::errc();
  };
  auto dash = [&] { return at != end && *at++ == '-'; };
  return number(out.domain) && dash() && number(out.origin) && dash() && number(out.seq) && at == end;
}

}  // namespace

std::vector<Mark> read_gtids(std::string_view list) {
  std::vector<Mark> out;
  while (!list.empty()) {
    std::string_view one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(list.size(), one.size() + 1));
    while (!one.empty() && (one.front() == ' ' || one.front() == '\n')) one.remove_prefix(1);
    if (Mark mark; read_gtid(one, mark)) out.push_back(mark);
  }
  return out;
}

Judgement judge(const cluster::Report& primary, const Position& wanted) {
  Judgement all = Judgement::kept;
  for (const Mark& mark : wanted.marks) {
    if (mark.origin == primary.origin) continue;  // its own, and newer perhaps than what it last told
    const auto last = std::ranges::find_if(primary.history, [&](const Mark& known) { return known.domain == mark.domain && known.origin == mark.origin; });
    if (last != primary.history.end()) {
      if (mark.seq > last->seq) return Judgement::lost;
      continue;
    }
    // Nothing of that server. What is newer than the beginning of a complete history would be in it.
    const auto floor = std::ranges::find_if(primary.history, [&](const Mark& known) { return known.domain == mark.domain && known.origin == 0; });
    if (floor != primary.history.end() && mark.seq > floor->seq) return Judgement::lost;
    all = Judgement::unknown;
  }
  return all;
}

}  // namespace sluice::sql::mariadb
