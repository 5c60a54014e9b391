#pragma once
// A text for PostgreSQL as callers write it, with ? or :name for its parameters: numbered, and classified.

#include <memory>

#include "handlers/sql/classify/placeholders.h"
#include "handlers/sql/classify/postgres.h"

namespace sluice::sql {

struct PostgresText {
  Verdict verdict;
  Numbered marked;                  // with ? as $1
  std::unique_ptr<Numbered> named;  // with :name as $1; nullptr when it was not looked for
};

PostgresText classify_postgres_text(std::string_view text, const Catalogue* catalogue = nullptr);

}  // namespace sluice::sql
