#pragma once
// What MariaDB's functions do: which are plain reads, which have effects, and which words before a parenthesis are no functions at all.

#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql::mariadb {

struct Effect {
  Class kind = Class::primary;
  std::string_view why;
};

struct Call {
  std::size_t arguments = 0;  // 1 for any number, but of those whose number makes a difference
  bool adjacent = true;  // nothing stands between the word and its parenthesis
};

// Of a word that a parenthesis follows.
Effect effect_of(std::string_view word, Call);

}  // namespace sluice::sql::mariadb
