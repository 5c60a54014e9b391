#pragma once
// The fence of SQLite: the highest token seen of each lock, in the table sluice_fences of the database that it guards.

#include "handlers/sql/sqlite/connection.h"

namespace sluice::sql::sqlite {

// Within the write's own transaction. Throws the conflict when a higher token was seen, else remembers this one.
void check_fence(Connection&, const Fence&);

}  // namespace sluice::sql::sqlite
