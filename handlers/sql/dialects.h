#pragma once
// Dialects: THE list of dialects that statements are classified in without any server.

#include <optional>
#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql {

// "postgresql", "mariadb" or "sqlite"; nothing for another one. Placeholders may be ?, $1 or :name. From any thread.
std::optional<Verdict> classify(std::string_view dialect, std::string_view text);

}  // namespace sluice::sql
