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
  // One call of the authorizer (sqlite3_set_authorizer: action codes and their two arguments). False: SQLite must not go on,
  // because some PRAGMAs act while they are prepared.
  bool saw(int action, const char* a, const char* b);
  bool refused() const noexcept { return worst_ == Class::session; }
  // After the statement was prepared, or refused (then without a statement).
  Verdict verdict(sqlite3_stmt*) const;

 private:
  void look(int action, std::string_view first, std::string_view second, bool has_argument);
  void found(Class, std::string why);

  Class worst_ = Class::read;
  bool tells_ = false;  // a PRAGMA that changes nothing
  std::string why_;
};

// Is there more in `tail` than white space, comments and semicolons?
bool holds_statement(std::string_view tail);

// Changes the connection, which callers share, or cannot be a part of a common commit.
bool not_run_here(const Verdict&);
// For such a statement: what to call instead.
std::string refusal(const Verdict&, std::string_view text);

}  // namespace sluice::sql::sqlite
