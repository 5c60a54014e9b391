#pragma once
// Placeholders: a statement with `?` or `:name` for its parameters, as PostgreSQL wants it: with $1, $2.

#include <string>
#include <string_view>
#include <vector>

#include "rpc/value.h"

namespace sluice::sql {

struct Numbered {
  std::string text;                // with $1 ... only
  std::size_t parameters = 0;      // the highest number
  std::vector<std::string> names;  // of :name, in the order of the numbers
  bool numbered = false;           // the statement has $1 in it by itself
  bool marked = false;             // and ?, which was not replaced as names were looked for
};

// Knows strings, quoted names, dollar quotes and comments (PostgreSQL 15, 4.1), so that a `?` within them stays. A text that has $1 in it
// keeps each `?`, which is then jsonb's operator; elsewhere `??` is one. `named`: replace :name, and not `?`. A cast's `::` is no name.
Numbered number_placeholders(std::string_view text, bool named);

// The parameters in the order of the numbers. Throws Fault (bad_arguments): a number of them that does not fit, a name that is missing.
std::vector<const Value*> in_order(const Numbered&, const Value& params);

}  // namespace sluice::sql
