#pragma once
// Views: which views of a MariaDB server are no plain reads: those whose text calls what has effects, or reads such a view.

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sql::mariadb {

// A view as information_schema tells of it.
struct View {
  std::string schema, name;
  std::string text;  // "" when the account may not see it
};

class Views {
 public:
  Views() = default;
  // `database`: that of the connection, where a name without a schema is looked up.
  Views(const std::vector<View>&, std::string_view database);

  // Of a name as a statement has it, without its quotes; `schema` is "" when it names none. Whatever the case of the letters.
  bool act(std::string_view schema, std::string_view name) const;
  bool none() const noexcept { return acting_.empty(); }
  bool operator==(const Views&) const = default;

 private:
  std::set<std::string> acting_;  // schema, a NUL and name
  std::string database_;
};

}  // namespace sluice::sql::mariadb
