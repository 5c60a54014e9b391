#pragma once
// What MariaDB's functions do: which are plain reads, which have effects, and which words before a parenthesis are no functions at all.

#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql::mariadb {

struct Effect {
  Class kind = Class::primary;
  std::string_view why;
};

// Of a word that a parenthesis follows. `empty`: nothing stands within.
Effect effect_of(std::string_view word, bool empty);

}  // namespace sluice::sql::mariadb
