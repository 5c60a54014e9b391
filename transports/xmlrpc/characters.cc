#include "transports/xmlrpc/characters.h"

#include <cstring>

namespace sluice::xmlrpc {

std::size_t multibyte_length(std::string_view text) noexcept {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto continues = [&](std::size_t i) { return i < text.size() && (at(i) & 0xC0) == 0x80; };
  const unsigned lead = at(0);
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    const unsigned code = (lead & 0x0F) << 12 | (at(1) & 0x3Fu) << 6 | (at(2) & 0x3Fu);
    const bool overlong = code < 0x800, surrogate = code >= 0xD800 && code <= 0xDFFF;
    return overlong || surrogate || code >= 0xFFFE ? 0 : 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    const unsigned high = (lead & 0x07) << 6 | (at(1) & 0x3Fu);  // the upper bits: 0x10 .. 0x10F
    return high < 0x10 || high > 0x10F ? 0 : 4;
  }
  return 0;
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
