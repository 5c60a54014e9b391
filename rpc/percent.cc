#include "rpc/percent.h"

#include <charconv>

namespace sluice {

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned octet = 0;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(text.data() + i + 1, text.data() + i + 3, octet, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(octet);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace sluice
