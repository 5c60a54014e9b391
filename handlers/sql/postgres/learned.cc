#include "handlers/sql/postgres/learned.h"

#include <algorithm>

namespace sluice::sql::postgres {

Catalogue::Volatility Learned::volatility(Thing thing, std::string_view schema, std::string_view name) const {
  const Names& names = known_[static_cast<std::size_t>(thing)];
  const auto otherwise = complete_ && thing != Thing::function ? Volatility::immutable : Volatility::unknown;
  if (names.empty()) return otherwise;
  const auto found = names.find(name);
  if (found == names.end()) return otherwise;
  if (schema.empty()) return found->second.worst;
  const auto within = found->second.by_schema.find(std::string(schema));
  return within == found->second.by_schema.end() ? otherwise : within->second;
}

void Learned::add(Thing thing, std::string schema, const std::string& name, char volatility) {
  const auto is = volatility == 'i' ? Volatility::immutable : volatility == 's' ? Volatility::stable : volatility == 'l' ? Volatility::lying : Volatility::mutating;
  Named& named = known_[static_cast<std::size_t>(thing)][name];
  named.worst = std::max(named.worst, is);
  Volatility& there = named.by_schema[std::move(schema)];
  there = std::max(there, is);
}

}  // namespace sluice::sql::postgres
