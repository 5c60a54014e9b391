#include "handlers/sql/classify/postgres.h"

#include <string>

#include "handlers/sql/classify/postgres_names.h"
#include "handlers/sql/classify/postgres_tree.h"

namespace sluice::sql {
namespace {

constexpr std::size_t kLongest = 1 << 20;  // bytes; longer texts are not parsed

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

}  // namespace

Verdict classify_postgres(std::string_view text, const Catalogue* catalogue) {
  if (text.size() > kLongest) return {Class::primary, "it is longer than " + std::to_string(kLongest) + " bytes, which is not looked into"};
  if (text.find('\0') != text.npos) return {Class::primary, "it has a NUL character in it"};
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
  if (verdict.broken) return {Class::primary, verdict.why};
  if (verdict.statements == 0) return {Class::primary, "there is no statement in it"};
  if (verdict.kind == SLUICE_PG_READ) return {Class::read, verdict.statements == 1 ? "it reads, and calls nothing that changes anything" : "its statements read, and call nothing that changes anything"};
  return {class_of(verdict.kind), verdict.why, false, verdict.defines != 0};
}

}  // namespace sluice::sql
