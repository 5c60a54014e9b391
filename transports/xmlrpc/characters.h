#pragma once
// Characters: which bytes are text that XML 1.0 can carry (XML 1.0, 2.2, in UTF-8 as of RFC 3629).

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::xmlrpc {

enum class ByteClass : std::uint8_t {
  plain,    // ASCII that stands for itself
  markup,   // & < > and CR: to be written as a reference
  control,  // no XML 1.0 document can hold it
  lead,     // begins a character of several bytes, or is wrong
};

inline constexpr std::array<ByteClass, 256> kByteClass = [] {
  std::array<ByteClass, 256> table{};
  for (int i = 0; i < 0x20; ++i) table[static_cast<std::size_t>(i)] = ByteClass::control;
  table['\t'] = table['\n'] = ByteClass::plain;
  table['&'] = table['<'] = table['>'] = table['\r'] = ByteClass::markup;
  for (std::size_t i = 0x80; i < 256; ++i) table[i] = ByteClass::lead;
  return table;
}();

inline ByteClass byte_class(char c) { return kByteClass[static_cast<unsigned char>(c)]; }

// The length of the character of several bytes that `text` begins with; 0 when it is no UTF-8, a
// surrogate, or U+FFFE or U+FFFF, which XML excludes.
std::size_t multibyte_length(std::string_view text) noexcept;

// Where `text` first holds something that no XML document can carry; npos when nowhere.
std::size_t find_invalid(std::string_view text) noexcept;

}  // namespace sluice::xmlrpc
