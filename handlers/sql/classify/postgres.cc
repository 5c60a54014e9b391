#include "handlers/sql/classify/postgres.h"

#include <string>

#include "handlers/sql/classify/opaque.h"
#include "handlers/sql/classify/postgres_names.h"
#include "handlers/sql/classify/postgres_tree.h"
#include "rpc/utf8.h"

namespace sluice::sql {
namespace {

constexpr std::size_t kLongest = 1 << 20;  // bytes; longer texts are not parsed
constexpr std::size_t kLongestRun = 2000;    // of operators' characters

constexpr sluice_pg_class kind_of(Class kind) {
  switch (kind) {
    case Class::read: return SLUICE_PG_READ;
    case Class::primary: return SLUICE_PG_PRIMARY;
    case Class::write: return SLUICE_PG_WRITE;
    case Class::session: return SLUICE_PG_SESSION;
  }
  return SLUICE_PG_PRIMARY;
}

constexpr Class class_of(int kind) {
  switch (kind) {
    case SLUICE_PG_READ: return Class::read;
    case SLUICE_PG_WRITE: return Class::write;
    case SLUICE_PG_SESSION: return Class::session;
    default: return Class::primary;
  }
}

NameEffect effect_of(sluice_pg_thing thing, std::string_view schema, std::string_view name, const Catalogue* catalogue) {
  switch (thing) {
    case SLUICE_PG_FUNCTION: return postgres_function(schema, name, catalogue);
    case SLUICE_PG_FIELD: return postgres_field(name, catalogue);
    case SLUICE_PG_SEQUENCE_COLUMN: return postgres_sequence_column(catalogue);
    case SLUICE_PG_RELATION: return postgres_relation(schema, name, catalogue);
    case SLUICE_PG_OPERATOR: return postgres_operator(schema, name, catalogue);
    case SLUICE_PG_TYPE: return postgres_type(schema, name, catalogue);
  }
  return {Class::primary, true, "is not understood"};
}

// PostgreSQL's scanner takes a run of operators' characters as one token, then gives most of it back: its time grows with the square.
bool takes_long(std::string_view text) {
  if (text.size() <= kLongestRun) return false;
  std::size_t run = 0;
  for (const char c : text) {
    run = std::string_view("~!@#^&|`?+-*/%<>=").find(c) == std::string_view::npos ? 0 : run + 1;
    if (run > kLongestRun) return true;
  }
  return false;
}

}  // namespace

Verdict classify_postgres(std::string_view text, const Catalogue* catalogue) {
  if (text.size() > kLongest) return opaque("it is longer than " + std::to_string(kLongest) + " bytes, which is not looked into");
  if (text.find('\0') != text.npos) return opaque("it has a NUL character in it");
  if (takes_long(text)) return opaque("it has more operators or comments within each other than is looked into");
  sluice_pg_verdict verdict;
  const std::string terminated(text);
  sluice_pg_classify(
      terminated.c_str(),
      [](void* catalogue, sluice_pg_thing thing, const char* schema, const char* name, sluice_pg_effect* out) -> int {
        const NameEffect effect = effect_of(thing, schema, name, static_cast<const Catalogue*>(catalogue));
        if (effect.kind != Class::read) *out = {effect.folded ? 1 : 0, effect.why};
        return kind_of(effect.kind);
      },
      const_cast<Catalogue*>(catalogue), &verdict);
  std::string why = to_utf8(verdict.why);  // names are cut where their room ends, within a character too
  if (verdict.broken) return opaque(std::move(why));
  if (verdict.statements == 0) return {Class::primary, "there is no statement in it"};
  if (verdict.kind == SLUICE_PG_READ) return {Class::read, verdict.statements == 1 ? "it reads, and calls nothing that changes anything" : "its statements read, and call nothing that changes anything"};
  Verdict out{class_of(verdict.kind), std::move(why)};
  out.defines = verdict.defines != 0;
  out.ends = verdict.may_commit != 0 ? Ends::perhaps : Ends::never;
  return out;
}

}  // namespace sluice::sql
