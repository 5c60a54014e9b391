#pragma once
// MariaDB's statements: read or write, by its tokens. What is shaped like a SELECT and holds nothing that has an effect is a read; everything
// else is not. Which views call functions the server is asked (mariadb_views.h); what writes nevertheless, a read-only session refuses.

#include <string_view>

#include "handlers/sql/backend.h"
#include "handlers/sql/classify/mariadb_views.h"

namespace sluice::sql {

// From any thread. A text of several statements is what its heaviest statement is. Where a text reads differently by settings of the
// server (sql_mode, its version), it is the heavier.
Verdict classify_mariadb(std::string_view text, const mariadb::Views* views = nullptr);

}  // namespace sluice::sql
