#pragma once
// Statements: what is known of each text that passes by: its class and its placeholders. Kept by text, bounded by bytes; used by one loop.

#include <memory>
#include <unordered_map>

#include "handlers/sql/backend.h"
#include "handlers/sql/classify/mariadb_views.h"
#include "handlers/sql/mariadb/placeholders.h"

namespace sluice::sql::mariadb {

struct Known {
  Verdict verdict;
  Marked marked;                  // with $1 as ?
  std::unique_ptr<Marked> named;  // with :name as ?; made when first asked for
};

class Statements {
 public:
  // `views` outlives this; forget() when it says other things than before.
  explicit Statements(const Views& views) : views_(views) {}

  void forget();

  // Valid until the next call.
  Known& look(std::string_view text);

 private:
  static constexpr std::size_t kBytes = 8 << 20;
  static constexpr std::size_t kLongest = 16 << 10;  // texts with their values in them never come again

  const Views& views_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  std::unordered_map<std::string, Known, Hash, std::equal_to<>> known_;
  std::size_t bytes_ = 0;
  Known passing_;  // the last one that is too long to keep
};

}  // namespace sluice::sql::mariadb
