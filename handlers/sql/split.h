#pragma once
// The switch: which share of the reads that may leave the primary does so.

#include <optional>
#include <string_view>

namespace sluice::sql {

// A shadow sends none away, and records where each would have gone. Aligned so that clang, too, knows an atomic one to need no lock.
struct alignas(8) Split {
  int percent = 100;
  bool shadow = false;
};

inline constexpr std::string_view kSplitTexts = "\"on\", \"off\", \"shadow\" or a percentage such as \"25%\"";
// nullopt: `text` is none of those.
std::optional<Split> read_split(std::string_view text) noexcept;

}  // namespace sluice::sql
