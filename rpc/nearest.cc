#include "rpc/nearest.h"

#include <algorithm>
#include <vector>

namespace sluice {
namespace {

// Damerau-Levenshtein, the restricted form: a swap of two neighbours is one edit.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.empty() || name.size() > 64) return {};  // no slip of the keyboard is that long
  std::string_view best;
  std::size_t fewest = std::min<std::size_t>(3, std::max<std::size_t>(1, name.size() / 3)) + 1;
  for (std::string_view candidate : candidates)
    if (std::size_t n = edits(name, candidate); n < fewest) {
      fewest = n;
      best = candidate;
    }
  return best;
}

}  // namespace sluice
