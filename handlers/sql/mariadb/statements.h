#pragma once
// Statements: the class and the placeholders of each text that passes by.

#include <memory>

#include "handlers/sql/classify/mariadb.h"
#include "handlers/sql/cluster/known_texts.h"
#include "handlers/sql/mariadb/placeholders.h"

namespace sluice::sql::mariadb {

struct Known {
  Verdict verdict;
  Marked marked;                  // with $1 as ?
  std::unique_ptr<Marked> named;  // with :name as ?; made when first asked for
};

class Statements : public KnownTexts<Known> {
 public:
  // `views` outlives this; forget() when it says other things than before.
  explicit Statements(const Views& views) : KnownTexts([&views](std::string_view text) { return Known{classify_mariadb(text, &views), mark_placeholders(text, false), nullptr}; }) {}
};

}  // namespace sluice::sql::mariadb
