#pragma once
// PostgreSQL's statements: read or write, by the server's own grammar (libpg_query's raw tree, PostgreSQL 15), with the effects of the
// functions that they call. What the tree cannot show (views, operators, casts, row policies that call functions) the catalogue tells.

#include <string_view>

#include "handlers/sql/backend.h"
#include "handlers/sql/classify/postgres_names.h"

namespace sluice::sql {

// From any thread. A text of several statements is what its heaviest statement is. What cannot be parsed is for the primary, which tells.
Verdict classify_postgres(std::string_view text, const Catalogue* catalogue = nullptr);

}  // namespace sluice::sql
