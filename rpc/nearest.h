#pragma once
// The nearest known name to one that is not known: for "did you mean" in messages.

#include <span>
#include <string_view>

namespace sluice {

// The candidate with the fewest edits from `name`, or "" when none is close enough to be a slip of
// the keyboard (more than a third of the name's length, or 3 edits).
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace sluice
