#pragma once
// What guards a write, kept beside the data in tables of our own: the highest fencing token of each lock, and the replies to writes
// with a key. All within the transaction of the write itself; on the writer's connection and thread.

#include <optional>

#include "handlers/sql/backend.h"
#include "handlers/sql/sqlite/connection.h"

namespace sluice::sql::sqlite {

// Throws the conflict for a token that is lower than one that was seen, and remembers a higher one.
void check_fence(Connection&, const Fence&);

// The reply that was kept under the caller's key; nothing when the key is new. Throws the conflict when it was kept for other statements.
std::optional<std::vector<Rows>> find_reply(Connection&, const Options&, const std::vector<Statement>&);
void keep_reply(Connection&, const Options&, const std::vector<Statement>&, const std::vector<Rows>&);

}  // namespace sluice::sql::sqlite
