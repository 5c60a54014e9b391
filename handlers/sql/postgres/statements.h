#pragma once
// Statements: the class and the placeholders of each text that passes by.

#include "handlers/sql/classify/postgres_text.h"
#include "handlers/sql/cluster/known_texts.h"

namespace sluice::sql::postgres {

using Known = PostgresText;

class Statements : public KnownTexts<Known> {
 public:
  // `catalogue` outlives this; forget() when it says other things than before.
  explicit Statements(const Catalogue& catalogue) : KnownTexts([&catalogue](std::string_view text) { return classify_postgres_text(text, &catalogue); }) {}
};

}  // namespace sluice::sql::postgres
