#pragma once
// Percent: what the parts of a URL mean, such as %40 for the @ of a password.

#include <string>
#include <string_view>

namespace sluice {

// A % without two hexadecimal digits behind it stays as it is.
std::string percent_decode(std::string_view text);

}  // namespace sluice
