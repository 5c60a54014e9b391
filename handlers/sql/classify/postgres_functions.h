#pragma once
// What calling a function of PostgreSQL does to where its statement may run.

#include <array>
#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql {

extern const std::array<std::string_view, 1991> kPostgresReaders;  // sorted

struct FunctionEffect {
  Class kind = Class::read;
  bool folded = false;  // may run while a statement is only planned
  const char* why = nullptr;
};

// What a database's catalogue says of functions that users made.
class Catalogue {
 public:
  virtual ~Catalogue() = default;
  enum class Volatility : char { unknown, immutable, stable, mutating };
  // The worst of all functions of that name. `schema` is "" when the statement names none.
  virtual Volatility volatility(std::string_view schema, std::string_view name) const = 0;
};

// `catalogue` may be nullptr: then a function that is not PostgreSQL's own may do anything.
FunctionEffect postgres_function(std::string_view schema, std::string_view name, const Catalogue* catalogue);

}  // namespace sluice::sql
