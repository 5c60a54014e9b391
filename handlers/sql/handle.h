#pragma once
// Handles that callers pass back: of cursors, of transactions. 128 bits that nobody can guess, as hexadecimal digits.

#include <cstddef>
#include <string>

namespace sluice::sql {

// How many of the `all` that there are one caller may hold open at once, where callers are asked who they are: half, so that one who
// ends none leaves room for the others.
constexpr std::size_t share_of(std::size_t all) noexcept { return all - all / 2; }

std::string new_handle();

}  // namespace sluice::sql
