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

// What a text means depends on the server and on settings that it does not show.
struct Reading {
  bool backslash_escapes = true;  // sql_mode has no NO_BACKSLASH_ESCAPES
  unsigned version = 101100;      // of the server, as in /*!101100 ... */
  bool ansi_quotes = false;       // sql_mode has ANSI_QUOTES: within "..." a backslash is one
};

// All that differ for this text, of MariaDB 10.0 and later. Nothing when they are too many.
std::vector<Reading> readings(std::string_view text);

// Nothing when a string, a name or a comment does not end: no server runs such a text.
std::optional<std::vector<Token>> tokens(std::string_view text, Reading);

bool same_word(std::string_view text, std::string_view upper) noexcept;  // ASCII, whatever the case of `text`

}  // namespace sluice::sql::mariadb
