#pragma once
// Digits: the decimal text of a number, counted up in place: of numbers in a row mostly the last digit differs.

#include <charconv>
#include <cstdint>
#include <string_view>

namespace sluice::id {

class Digits {
 public:
  explicit Digits(std::int64_t number) noexcept : begin_(text_ + kRoom) {  // not negative
    char digits[kRoom];
    const auto end = std::to_chars(digits, digits + kRoom, number).ptr;
    for (const char* at = end; at != digits;) *--begin_ = *--at;
  }

  std::string_view text() const noexcept { return {begin_, static_cast<std::size_t>(text_ + kRoom - begin_)}; }

  void count_up() noexcept {
    char* at = text_ + kRoom - 1;
    while (at >= begin_ && *at == '9') *at-- = '0';
    if (at >= begin_)
      ++*at;
    else
      *--begin_ = '1';
  }

 private:
  static constexpr std::size_t kRoom = 20;  // of 2^63, and one more

  char text_[kRoom]{};
  char* begin_;
};

}  // namespace sluice::id
