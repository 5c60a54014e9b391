#include "handlers/sql/postgres/statements.h"

#include "handlers/sql/classify/postgres.h"

namespace sluice::sql::postgres {

Known& Statements::look(std::string_view text) {
  if (auto found = known_.find(text); found != known_.end()) return found->second;
  Known known{{}, number_placeholders(text, false), nullptr};
  known.verdict = classify_postgres(known.marked.text);
  if (known.verdict.kind == Class::primary && text.find(':') != text.npos) {
    // Perhaps its parameters have names, which the grammar does not know.
    known.named = std::make_unique<Numbered>(number_placeholders(text, true));
    if (!known.named->names.empty()) known.verdict = classify_postgres(known.named->text);
  }
  if (text.size() > kLongest) return passing_ = std::move(known);
  const std::size_t cost = 3 * text.size() + 256;
  if (bytes_ + cost > kBytes) {  // as good as any order: what is hot comes back at once
    known_.clear();
    bytes_ = 0;
  }
  bytes_ += cost;
  return known_.emplace(std::string(text), std::move(known)).first->second;
}

}  // namespace sluice::sql::postgres
