#include "handlers/sql/mariadb/statements.h"

#include "handlers/sql/classify/mariadb.h"

namespace sluice::sql::mariadb {

void Statements::forget() {
  known_.clear();
  bytes_ = 0;
}

Known& Statements::look(std::string_view text) {
  if (auto found = known_.find(text); found != known_.end()) return found->second;
  Known known{classify_mariadb(text, &views_), mark_placeholders(text, false), nullptr};
  if (text.size() > kLongest) return passing_ = std::move(known);
  const std::size_t cost = 3 * text.size() + 256;
  if (bytes_ + cost > kBytes) forget();  // as good as any order: what is hot comes back at once
  bytes_ += cost;
  return known_.emplace(std::string(text), std::move(known)).first->second;
}

}  // namespace sluice::sql::mariadb
