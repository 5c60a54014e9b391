#pragma once
// What an error of PostgreSQL means for a call: by its SQLSTATE, never by its text, which may be in any language.

#include <libpq-fe.h>

#include "handlers/sql/cluster/engine.h"

namespace sluice::sql::postgres {

// By SQLSTATE alone. `use`: a connection for reads is read-only by setting, so that a refusal there had no effect.
cluster::Failure::Kind meaning(std::string_view sqlstate, cluster::Link::Use use) noexcept;

cluster::Failure failure_of(const PGresult*, cluster::Link::Use use);
cluster::Failure connect_failure(const std::string& message);

}  // namespace sluice::sql::postgres
