#pragma once
// Learned: what the catalogue says of the functions, operators, types and relations that users made.

#include <array>
#include <string>
#include <unordered_map>
#include <vector>

#include "handlers/sql/classify/postgres_names.h"

namespace sluice::sql::postgres {

class Learned final : public Catalogue {
 public:
  Volatility volatility(Thing, std::string_view schema, std::string_view name) const override;

  // One of that name; the worst of a name stands. `volatility` is the catalogue's letter, or l for lying.
  void add(Thing, std::string schema, const std::string& name, char volatility);
  // All that call or move something were added: relations, operators and types that are not there do neither.
  void complete() { complete_ = true; }
  bool same_as(const Learned& other) const { return complete_ == other.complete_ && known_ == other.known_; }

 private:
  struct Named {
    Volatility worst = Volatility::unknown;  // which schema an unqualified name is looked up in is the server's affair
    std::unordered_map<std::string, Volatility> by_schema;
    bool operator==(const Named&) const = default;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  using Names = std::unordered_map<std::string, Named, Hash, std::equal_to<>>;

  std::array<Names, 4> known_;  // by thing
  bool complete_ = false;
};

}  // namespace sluice::sql::postgres
