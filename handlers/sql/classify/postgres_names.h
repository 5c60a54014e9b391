#pragma once
// What the names in a statement of PostgreSQL stand for, and what that does to where the statement may run.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "handlers/sql/backend.h"

namespace sluice::sql {

// PostgreSQL's own, sorted by octets.
extern const std::array<std::string_view, 1990> kPostgresReaders;  // functions that only read
extern const std::array<std::string_view, 74> kPostgresOperators;
extern const std::array<std::string_view, 98> kPostgresTypes;

struct NameEffect {
  Class kind = Class::read;
  bool folded = false;  // may run while a statement is only planned
  const char* why = nullptr;
};

// What a database's catalogue says of what its users made.
class Catalogue {
 public:
  virtual ~Catalogue() = default;
  enum class Thing : unsigned char { function, relation, operation, type };
  // Mutating: a VOLATILE function, a sequence, or what calls one of these or one of PostgreSQL's own functions that are no plain reads.
  // Lying: a function that calls such a thing, and says that it does not; the planner believes it.
  enum class Volatility : char { unknown, immutable, stable, mutating, lying };
  // The worst of all of that name. `schema` is "" when the statement names none. Unknown: no such function, or nothing was learned yet.
  virtual Volatility volatility(Thing, std::string_view schema, std::string_view name) const = 0;
};

// Patterns for LIKE: the names of PostgreSQL's own functions, and its contributed modules', that are no plain reads.
std::vector<std::string> postgres_effects();

// `catalogue` may be nullptr: then what is not PostgreSQL's own may do anything. A relation is then taken for a table.
NameEffect postgres_function(std::string_view schema, std::string_view name, const Catalogue* catalogue);
// Of `name` in value.name, which is a column, or else the call name(value). What is known of no function is taken for a column.
NameEffect postgres_field(std::string_view name, const Catalogue* catalogue);
NameEffect postgres_relation(std::string_view schema, std::string_view name, const Catalogue* catalogue);
// Of a column with the name of one that every sequence has.
NameEffect postgres_sequence_column(const Catalogue* catalogue);
NameEffect postgres_operator(std::string_view schema, std::string_view name, const Catalogue* catalogue);
NameEffect postgres_type(std::string_view schema, std::string_view name, const Catalogue* catalogue);

}  // namespace sluice::sql
