#pragma once
// gzip and deflate for bodies, by zlib, with the limits that keep a small body from becoming a large one.

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::http {

enum class Inflated { whole, damaged, too_large };

// Appends what `bytes` (gzip, of any number of members, or zlib) hold to `out`, at most `most` bytes of it.
Inflated inflate(std::string_view bytes, std::size_t most, std::string& out);

// The gzip of `bytes` at the fastest level, or "" when zlib has no memory for it.
std::string gzip(std::string_view bytes);

}  // namespace sluice::http
