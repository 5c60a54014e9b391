#pragma once
// Functions: what pg_proc says of the functions that users made.

#include <map>
#include <string>

#include "handlers/sql/classify/postgres_functions.h"

namespace sluice::sql::postgres {

class Functions final : public Catalogue {
 public:
  Volatility volatility(std::string_view schema, std::string_view name) const override;

  // Of one overload; the worst of a name stands.
  void add(std::string schema, const std::string& name, char volatility);
  bool same_as(const Functions& other) const { return known_ == other.known_; }

 private:
  std::map<std::pair<std::string, std::string>, Volatility, std::less<>> known_;  // schema ("" for any) and name
};

}  // namespace sluice::sql::postgres
