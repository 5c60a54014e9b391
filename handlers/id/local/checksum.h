#pragma once
// checksum: tells texts apart, and one that was cut off from a whole one; it is none against forgery. FNV-1a of 64 bits
// (Fowler, Noll and Vo; draft-eastlake-fnv).

#include <cstdint>
#include <string_view>

namespace sluice::id {

inline std::uint64_t checksum(std::string_view text) noexcept {
  std::uint64_t sum = 14695981039346656037u;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return sum;
}

}  // namespace sluice::id
