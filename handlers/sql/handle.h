#pragma once
// Handles that callers pass back: of cursors, of transactions. 128 bits that nobody can guess, as hexadecimal digits.

#include <string>

namespace sluice::sql {

std::string new_handle();

}  // namespace sluice::sql
