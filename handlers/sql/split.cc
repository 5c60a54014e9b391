#include "handlers/sql/split.h"

#include <charconv>

namespace sluice::sql {

std::optional<Split> read_split(std::string_view text) noexcept {
  if (text == "on") return Split{100, false};
  if (text == "off") return Split{0, false};
  if (text == "shadow") return Split{100, true};
  int percent = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, percent);
  if (error != std::errc() || percent < 0 || percent > 100 || (rest != end && std::string_view(rest, end) != "%")) return std::nullopt;
  return Split{percent, false};
}

}  // namespace sluice::sql
