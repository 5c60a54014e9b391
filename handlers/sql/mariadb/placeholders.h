#pragma once
// Placeholders: a statement with $1 or :name for its parameters, as MariaDB wants it: with ? alone.

#include <string>
#include <string_view>
#include <vector>

#include "rpc/value.h"

namespace sluice::sql::mariadb {

struct Marked {
  std::string text;                // with ? only
  std::vector<std::size_t> order;  // of each ?: which parameter, from 0
  std::size_t parameters = 0;      // how many the caller passes
  std::vector<std::string> names;  // of :name, in the order of the parameters
  bool numbered = false;           // it has ? or $1 in it
};

// Knows strings, quoted names and comments, so that a `?` within them stays. `named`: :name is a placeholder too. Where strings end is told
// as with sql_mode's default; were it otherwise, the number of parameters would not fit, and nothing else would go wrong.
Marked mark_placeholders(std::string_view text, bool named);

// The parameters in the order of the `?`. Throws Fault (bad_arguments): a number of them that does not fit, a name that is missing.
std::vector<const Value*> in_order(const Marked&, const Value& params);

}  // namespace sluice::sql::mariadb
