#pragma once
// The question to PostgreSQL's catalogue that tells which of the things that users made have effects, and what its answer says.

#include <optional>
#include <string>

#include "handlers/sql/backend.h"
#include "handlers/sql/postgres/learned.h"

namespace sluice::sql::postgres {

// `mark` is that of the last answer, "" when there was none: while it is the same, little is asked and nothing told.
Statement catalogue_question(const std::string& mark);

// Nothing when all is as it was at `mark`, which becomes that of this answer.
std::optional<Learned> read_catalogue(const Value::Array& rows, std::string& mark);

}  // namespace sluice::sql::postgres
