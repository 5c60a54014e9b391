#pragma once
// UTF-8 (RFC 3629): is a text what it says it is?

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

// The length in bytes of the character that `text` begins with, 1 to 4; 0 when it is no UTF-8. `text` is not empty.
std::size_t utf8_length(std::string_view text) noexcept;

bool is_utf8(std::string_view text) noexcept;

// For our own messages: every byte that is not part of UTF-8 becomes '?'.
std::string to_utf8(std::string_view text);

}  // namespace sluice
