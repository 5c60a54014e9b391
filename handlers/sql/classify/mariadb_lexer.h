#pragma once
// MariaDB's tokens, as its own lexer finds them (sql/sql_lex.cc): strings, quoted names, comments and executable comments, variables.

#include <optional>
#include <string_view>
#include <vector>

namespace sluice::sql::mariadb {

struct Token {
  enum class Kind : std::uint8_t { word, quoted_name, string, number, variable, system_variable, symbol };
  Kind kind = Kind::symbol;
  std::string_view text;  // a variable's with its @; a symbol is one character, or :=
};

// What a text means depends on settings of the server that it does not show.
struct Reading {
  bool backslash_escapes = true;  // sql_mode has no NO_BACKSLASH_ESCAPES
  bool executable = true;         // what /*! */ and /*M! */ hold is code: not so when the version asked for is not the server's
};

// Does it look as if the readings differ?
bool has_backslash(std::string_view text) noexcept;
bool has_executable_comment(std::string_view text) noexcept;

// Nothing when a string, a name or a comment does not end.
std::optional<std::vector<Token>> tokens(std::string_view text, Reading);

bool same_word(std::string_view text, std::string_view upper) noexcept;  // ASCII, whatever the case of `text`

}  // namespace sluice::sql::mariadb
