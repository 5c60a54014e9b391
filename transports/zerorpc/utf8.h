#pragma once
// Is a text UTF-8, as strictly as Python reads it: no overlong forms, no surrogates, nothing past U+10FFFF?

#include <string>
#include <string_view>

namespace sluice::zerorpc {

bool is_utf8(std::string_view) noexcept;
std::string to_utf8(std::string_view);  // every byte that is not part of UTF-8 becomes '?': for our own messages

}  // namespace sluice::zerorpc
