#include "handlers/sql/dialects.h"

#include "handlers/sql/classify/mariadb.h"
#include "handlers/sql/classify/postgres_text.h"
#include "handlers/sql/sqlite/offline.h"

namespace sluice::sql {

std::optional<Verdict> classify(std::string_view dialect, std::string_view text) {
  if (dialect == "postgresql") return classify_postgres_text(text).verdict;
  if (dialect == "mariadb") return classify_mariadb(text);
  if (dialect == "sqlite") return sqlite::classify_offline(text);
  return std::nullopt;
}

}  // namespace sluice::sql
