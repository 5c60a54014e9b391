#include "handlers/sql/position.h"

#include <algorithm>

namespace sluice::sql {
namespace {

auto find(auto& marks, std::uint32_t domain) {
  return std::ranges::find(marks, domain, &Mark::domain);
}

}  // namespace

bool reached(const Position& at, const Position& wanted) noexcept {
  if (at.system != wanted.system) return false;
  return std::ranges::all_of(wanted.marks, [&at](const Mark& mark) {
    auto have = find(at.marks, mark.domain);
    return have != at.marks.end() && have->seq >= mark.seq;
  });
}

void raise(Position& at, const Position& more) {
  if (at.system != more.system) {
    at = more;
    return;
  }
  for (const Mark& mark : more.marks) {
    auto have = find(at.marks, mark.domain);
    if (have == at.marks.end())
      at.marks.push_back(mark);
    else if (have->seq < mark.seq || have->origin < mark.origin)
      *have = mark;
  }
}

}  // namespace sluice::sql
