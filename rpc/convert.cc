#include "rpc/convert.h"

#include <charconv>

namespace sluice {

bool Wire<std::int64_t>::take(Value&& from, std::int64_t& to) {
  if (auto* integer = from.get_if<std::int64_t>()) return to = *integer, true;
  if (auto* real = from.get_if<double>()) {
    // 2^63 itself is a double that no int64 holds, hence the open upper bound.
    if (std::trunc(*real) != *real || *real < -0x1p63 || *real >= 0x1p63) return false;
    return to = static_cast<std::int64_t>(*real), true;
  }
  if (auto* text = from.get_if<std::string>()) {
    std::int64_t parsed;
    auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), parsed);
    if (error != std::errc() || end != text->data() + text->size() || text->empty()) return false;
    return to = parsed, true;
  }
  return false;
}

}  // namespace sluice
