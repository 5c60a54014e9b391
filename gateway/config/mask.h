#pragma once
// Mask: passwords of URLs, hidden in what people see: values and whole lines of a file alike.

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::config {

struct Masked {
  std::string text;  // with *** in the place of each password
  std::size_t at;    // where it has what stood at `at`
};

// `text`: a URL, or a line of TOML with any number of them, even one that cannot be parsed. `at`: of a byte, or text.size().
Masked mask_passwords(std::string_view text, std::size_t at = 0);

}  // namespace sluice::config
