#include "transports/xmlrpc/characters.h"

#include <cstring>

#include "rpc/utf8.h"

namespace sluice::xmlrpc {

std::size_t multibyte_length(std::string_view text) noexcept {
  const std::size_t length = utf8_length(text);
  // U+FFFE and U+FFFF: EF BF BE and EF BF BF.
  return length == 3 && text[0] == '\xEF' && text[1] == '\xBF' && static_cast<unsigned char>(text[2]) >= 0xBE ? 0 : length;
}

namespace {

// Are these eight bytes all ASCII text, of the control characters none but LF? Byte by byte exact: with the high bits
// set before the subtraction nothing is borrowed from a neighbour.
bool plain(std::uint64_t eight) {
  constexpr std::uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
  if (eight & high) return false;
  const std::uint64_t below_space = ~((eight | high) - ones * 0x20);
  const std::uint64_t no_line_feed = ((eight ^ ones * 0x0A) | high) - ones;
  return (below_space & no_line_feed & high) == 0;
}

}  // namespace

std::size_t find_invalid(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    for (std::uint64_t eight; i + 8 <= text.size(); i += 8) {
      std::memcpy(&eight, text.data() + i, 8);
      if (!plain(eight)) break;
    }
    if (i == text.size()) break;
    switch (byte_class(text[i])) {
      case ByteClass::plain:
      case ByteClass::markup: ++i; break;
      case ByteClass::control: return i;
      case ByteClass::lead: {
        const std::size_t length = multibyte_length(text.substr(i, 4));
        if (length == 0) return i;
        i += length;
      }
    }
  }
  return std::string_view::npos;
}

}  // namespace sluice::xmlrpc
