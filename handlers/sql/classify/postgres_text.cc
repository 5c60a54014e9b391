#include "handlers/sql/classify/postgres_text.h"

namespace sluice::sql {

PostgresText classify_postgres_text(std::string_view text, const Catalogue* catalogue) {
  PostgresText out{{}, number_placeholders(text, false), nullptr};
  out.verdict = classify_postgres(out.marked.text, catalogue);
  if (out.verdict.kind == Class::primary && text.find(':') != text.npos) {
    // Perhaps its parameters have names, which the grammar does not know.
    out.named = std::make_unique<Numbered>(number_placeholders(text, true));
    if (!out.named->names.empty()) out.verdict = classify_postgres(out.named->text, catalogue);
  }
  // A ? that is an operator and no parameter: as it stands, then.
  if (out.verdict.kind == Class::primary && out.marked.parameters > 0)
    if (Verdict plain = classify_postgres(text, catalogue); plain.why.find("grammar") == plain.why.npos) out.verdict = std::move(plain);
  return out;
}

}  // namespace sluice::sql
