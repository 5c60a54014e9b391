#pragma once
// Classify: what SQLite's own grammar says of a statement, through the authorizer that sees every action of it while it is
// prepared. sqlite3_stmt_readonly alone will not do: it calls BEGIN, ATTACH and most PRAGMAs read-only, and speaks of the first
// statement of a text only.

#include <sqlite3.h>

#include <string>
#include <string_view>

#include "handlers/sql/backend.h"

namespace sluice::sql::sqlite {

// Collects the actions of one statement and says what they make of it.
class Sight {
 public:
  // One call of the authorizer (sqlite3_set_authorizer: action codes and their two arguments).
  void saw(int action, const char* a, const char* b);
  // After the statement was prepared without an error.
  Verdict verdict(sqlite3_stmt*) const;

 private:
  Class worst_ = Class::read;
  std::string why_;
  void found(Class, std::string why);
};

// Is there more in `tail` than white space, comments and semicolons?
bool holds_statement(std::string_view tail);

// For a refused statement: what to call instead.
std::string refusal(const Verdict&, std::string_view text);

}  // namespace sluice::sql::sqlite
