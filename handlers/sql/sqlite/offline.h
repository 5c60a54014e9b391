#pragma once
// Offline: what a statement is when the database that it is meant for is not at hand: SQLite prepares it in memory against tables, columns
// and functions that are made up as it asks for them.

#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql::sqlite {

// From any thread. A text of several statements is what its heaviest statement is; what cannot be prepared is for the primary, or what its
// first word says.
Verdict classify_offline(std::string_view text);

}  // namespace sluice::sql::sqlite
