#include "handlers/sql/postgres/functions.h"

#include <algorithm>

namespace sluice::sql::postgres {

Catalogue::Volatility Functions::volatility(std::string_view schema, std::string_view name) const {
  const auto found = known_.find(std::pair(std::string(schema), std::string(name)));
  return found == known_.end() ? Volatility::unknown : found->second;
}

void Functions::add(std::string schema, const std::string& name, char volatility) {
  const auto is = volatility == 'i' ? Volatility::immutable : volatility == 's' ? Volatility::stable : Volatility::mutating;
  // Which schema an unqualified name is looked up in is the server's affair: it is as bad as the worst of that name anywhere.
  for (std::string in : {std::move(schema), std::string()}) {
    Volatility& known = known_.try_emplace({std::move(in), name}, is).first->second;
    known = std::max(known, is);
  }
}

}  // namespace sluice::sql::postgres
