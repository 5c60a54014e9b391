#pragma once
// MariaDB's statements: read or write, by its tokens. What is shaped like a SELECT and holds nothing that has an effect is a read; everything
// else is not. What tokens cannot show (views and tables that call functions) a read-only session refuses by itself.

#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql {

// From any thread. A text of several statements is what its heaviest statement is. Where a text reads differently by settings of the
// server (sql_mode, its version), it is the heavier.
Verdict classify_mariadb(std::string_view text);

}  // namespace sluice::sql
