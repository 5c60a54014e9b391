#include "handlers/sql/classify/mariadb.h"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "handlers/sql/classify/mariadb_functions.h"
#include "handlers/sql/classify/mariadb_lexer.h"
#include "handlers/sql/classify/opaque.h"
#include "rpc/utf8.h"

namespace sluice::sql {
namespace {

using mariadb::same_word;
using mariadb::Token;
using Kind = Token::Kind;

constexpr std::size_t kLongest = 1 << 20;  // bytes; longer texts are not looked into

constexpr int weight(Class kind) { return kind == Class::read ? 0 : kind == Class::primary ? 1 : kind == Class::session ? 2 : 3; }

void worsen(Verdict& verdict, Class kind, std::string_view why) {
  if (weight(kind) > weight(verdict.kind)) verdict = {kind, std::string(why)};
}

// Of two parts, or of two ways to read one text: the heavier, and whatever either does to its connection.
Verdict heavier(Verdict a, Verdict b) {
  if (weight(b.kind) > weight(a.kind)) std::swap(a, b);
  a.defines |= b.defines;
  a.opaque |= b.opaque;
  a.ends = std::max(a.ends, b.ends);
  return a;
}

// The tokens of one statement; past the end stand empty symbols.
class Statement {
 public:
  Statement(std::span<const Token> tokens, const mariadb::Views* views) : tokens_(tokens), views_(views) {}
  std::size_t size() const { return tokens_.size(); }
  const Token& at(std::size_t i) const {
    static const Token kNone;
    return i < tokens_.size() ? tokens_[i] : kNone;
  }
  bool word(std::size_t i, std::string_view upper) const { return at(i).kind == Kind::word && same_word(at(i).text, upper); }
  bool any_of(std::size_t i, std::initializer_list<std::string_view> words) const {
    return std::ranges::any_of(words, [&](std::string_view upper) { return word(i, upper); });
  }
  bool symbol(std::size_t i, std::string_view text) const { return at(i).kind == Kind::symbol && at(i).text == text; }
  Statement from(std::size_t i) const { return {tokens_.subspan(std::min(i, tokens_.size())), views_}; }
  // Is it the name of a view that is no plain read?
  bool acting_view(std::size_t i) const {
    if (!views_ || views_->none() || !may_name(i)) return false;
    return i >= 2 && symbol(i - 1, ".") && may_name(i - 2) ? views_->act(name(i - 2), name(i)) : views_->act("", name(i));
  }
  // However it is quoted.
  bool names(std::size_t i, std::initializer_list<std::string_view> words) const {
    return may_name(i) && std::ranges::any_of(words, [name = name(i)](std::string_view upper) { return same_word(name, upper); });
  }
  // Behind the parenthesis that closes the one at `i`.
  std::size_t behind(std::size_t i) const {
    // A list of columns is short; what is not is looked at once more for each of its commas.
    const std::size_t end = std::min(size(), i + 2000);
    for (int depth = 0; i < end; ++i) {
      if (symbol(i, "(")) ++depth;
      if (symbol(i, ")") && --depth == 0) return i + 1;
    }
    return size();
  }

 private:
  // Under ANSI_QUOTES such a string is a name.
  bool may_name(std::size_t i) const {
    const Token& token = at(i);
    return token.kind == Kind::word || token.kind == Kind::quoted_name || (token.kind == Kind::string && token.text[0] == '"');
  }
  // Without its quotes, which stand doubled within it.
  std::string name(std::size_t i) const {
    const Token& token = at(i);
    if (token.kind == Kind::word) return std::string(token.text);
    std::string out;
    for (std::size_t c = 1; c + 1 < token.text.size(); ++c) {
      out += token.text[c];
      if (token.text[c] == token.text[0]) ++c;
    }
    return out;
  }

  std::span<const Token> tokens_;
  const mariadb::Views* views_;
};

// WITH name (columns) AS (
bool names_columns(const Statement& s, std::size_t i) {
  if (i == 0 || !(s.any_of(i - 1, {"WITH", "RECURSIVE"}) || s.symbol(i - 1, ","))) return false;
  const std::size_t behind = s.behind(i + 1);
  return s.word(behind, "AS") && s.symbol(behind + 1, "(");
}

constexpr std::size_t kShape = 64;  // tokens within which a call or a clause shows its shape

mariadb::Call call_at(const Statement& s, std::size_t i) {
  const std::string_view name = s.at(i).text;
  const bool adjacent = name.data() + name.size() == s.at(i + 1).text.data();
  mariadb::Call call{s.symbol(i + 2, ")") ? 0u : 1u, adjacent};
  if (!s.word(i, "POINT")) return call;
  int depth = 0;
  for (std::size_t at = i + 1; at < i + kShape; ++at) {
    if (s.symbol(at, "(")) ++depth;
    if (s.symbol(at, ")") && --depth == 0) return call;
    if (s.symbol(at, ",") && depth == 1) ++call.arguments;
  }
  return {};
}

// Words that are a clause by what stands about them, and else may call a user's function.
bool is_clause(const Statement& s, std::size_t i) {
  if (s.word(i, "AGAINST")) return i > 0 && s.symbol(i - 1, ")");                       // MATCH (a) AGAINST (
  if (s.word(i, "COLUMNS")) return i > 0 && s.at(i - 1).kind == Kind::string;           // JSON_TABLE(a, '$' COLUMNS (
  if (s.word(i, "MINUS")) return s.any_of(i + 2, {"SELECT", "VALUES", "WITH"});         // SELECT ... MINUS (SELECT
  if (!s.word(i, "JSON_TABLE")) return false;
  int depth = 0;
  for (std::size_t at = i + 1; at < i + kShape; ++at) {
    if (s.symbol(at, "(")) ++depth;
    if (s.symbol(at, ")") && --depth == 0) return false;
    if (depth == 1 && s.word(at, "COLUMNS") && s.symbol(at + 1, "(") && is_clause(s, at)) return true;
  }
  return false;
}

// Everything within a statement that is shaped like a read.
void look_within(const Statement& s, Verdict& verdict) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    const Token& token = s.at(i);
    const bool calls = s.symbol(i + 1, "(");
    const bool part_of_name = i > 0 && s.symbol(i - 1, ".");
    if (s.acting_view(i)) worsen(verdict, Class::primary, "it reads a view that calls a function which may have effects");
    if (token.kind == Kind::system_variable) worsen(verdict, Class::primary, "it asks a server about itself");
    if (token.kind == Kind::variable) worsen(verdict, Class::primary, "it reads a variable of the connection");
    if (s.symbol(i, ":=")) worsen(verdict, Class::session, "it sets a variable of the connection");
    // Under ANSI_QUOTES such a string is a name.
    if ((token.kind == Kind::quoted_name || (token.kind == Kind::string && token.text[0] == '"')) && calls && !names_columns(s, i))
      worsen(verdict, Class::primary, "it calls a function whose effects are not known");
    if (token.kind != Kind::word) continue;
    if (part_of_name) {
      if (calls) worsen(verdict, Class::primary, "it calls a stored function, whose effects are not known");
      continue;
    }
    if (s.word(i, "INTO")) {
      if (s.any_of(i + 1, {"OUTFILE", "DUMPFILE"}))
        worsen(verdict, Class::write, "it writes a file on the server");
      else
        worsen(verdict, Class::session, "it sets variables of the connection");
    }
    if (!calls && s.any_of(i, {"INSERT", "UPDATE", "DELETE", "REPLACE"}) && !(s.word(i, "UPDATE") && s.word(i - 1, "FOR")))
      worsen(verdict, Class::write, "there is a write within it");
    if (s.word(i, "FOR") && s.word(i + 1, "UPDATE")) worsen(verdict, Class::primary, "it locks rows (FOR UPDATE)");
    if (s.word(i, "LOCK") && s.word(i + 1, "IN")) worsen(verdict, Class::primary, "it locks rows (LOCK IN SHARE MODE)");
    if (s.word(i, "FOR") && s.word(i + 1, "SHARE")) worsen(verdict, Class::primary, "it locks rows (FOR SHARE)");
    if (s.word(i, "NEXT") && s.word(i + 1, "VALUE")) worsen(verdict, Class::write, "NEXT VALUE FOR moves a sequence");
    if (s.word(i, "PREVIOUS") && s.word(i + 1, "VALUE"))
      worsen(verdict, Class::primary, "PREVIOUS VALUE FOR tells what the connection itself did before");
    if (s.word(i, "SQL_CALC_FOUND_ROWS")) worsen(verdict, Class::primary, "the connection remembers SQL_CALC_FOUND_ROWS");
    if (s.word(i, "PROCEDURE")) worsen(verdict, Class::primary, "it has a PROCEDURE clause");
    if (calls && !names_columns(s, i) && !is_clause(s, i)) {
      const auto effect = mariadb::effect_of(token.text, call_at(s, i));
      worsen(verdict, effect.kind, effect.why);
    }
    // Oracle's notation of sequences: s.NEXTVAL is a column's name elsewhere, and a sequence's refusal on a replica.
    if (s.any_of(i, {"NEXTVAL", "CURRVAL"}) && !calls) worsen(verdict, Class::primary, "it may ask a sequence");
  }
}

Verdict classify_select(const Statement& s) {
  Verdict verdict{Class::read, ""};
  look_within(s, verdict);
  for (std::size_t i = 1; i < s.size(); ++i)
    if (s.symbol(i - 1, ".") && s.names(i, {"NEXTVAL", "CURRVAL"})) worsen(verdict, Class::primary, "it may ask a sequence");
  if (verdict.kind == Class::read) verdict.why = "it reads, and calls nothing that changes anything";
  return verdict;
}

Verdict classify_show(const Statement& s) {
  std::size_t i = 1;
  while (s.any_of(i, {"FULL", "EXTENDED"})) ++i;
  if (s.any_of(i, {"WARNINGS", "ERRORS", "PROFILE", "PROFILES"}))
    return {Class::session, "it tells what the connection itself did before; errors come with the call's fault"};
  const bool of_data = s.any_of(i, {"TABLES", "COLUMNS", "FIELDS", "INDEX", "INDEXES", "KEYS", "DATABASES", "SCHEMAS", "TRIGGERS", "EVENTS",
                                    "COLLATION", "CHARSET", "GRANTS"}) ||
                       (s.any_of(i, {"TABLE", "FUNCTION", "PROCEDURE", "PACKAGE"}) && s.word(i + 1, "STATUS")) ||
                       (s.word(i, "CHARACTER") && s.word(i + 1, "SET")) ||
                       (s.word(i, "CREATE") && s.any_of(i + 1, {"TABLE", "VIEW", "DATABASE", "SCHEMA", "FUNCTION", "PROCEDURE", "TRIGGER",
                                                                "EVENT", "SEQUENCE", "PACKAGE", "USER"}));
  if (!of_data) return {Class::primary, "it asks a server about itself"};
  Verdict verdict{Class::read, ""};
  for (std::size_t w = i; w < s.size(); ++w)
    if (s.word(w, "WHERE")) look_within(s.from(w), verdict);
  if (verdict.kind == Class::read) verdict.why = "it reads the catalogue";
  return verdict;
}

constexpr int kDeepest = 8;  // statements within each other: ANALYZE, SET STATEMENT ... FOR
Verdict classify_one(const Statement& s, int depth = 0);

Verdict classify_explain(const Statement& s) {
  std::size_t i = 1;
  while (s.any_of(i, {"EXTENDED", "PARTITIONS"}) || (s.word(i, "FORMAT") && s.symbol(i + 1, "="))) i += s.word(i, "FORMAT") ? 3 : 1;
  if (s.word(i, "FOR")) return {Class::primary, "it explains what another connection of one server runs"};
  if (s.symbol(i, "(") || s.any_of(i, {"SELECT", "WITH", "VALUES"})) return classify_select(s.from(i));
  // A replica refuses even to explain a write.
  if (s.any_of(i, {"INSERT", "REPLACE", "UPDATE", "DELETE"}))
    return {Class::primary, "it explains a write, which only a server that takes writes does"};
  // A table, then at most a column or a pattern.
  const bool table = s.at(i).kind == Kind::word || s.at(i).kind == Kind::quoted_name;
  const std::size_t behind = s.symbol(i + 1, ".") ? i + 3 : i + 1;
  const bool column = s.at(behind).kind == Kind::string || (i == 1 && !s.any_of(i, {"ANALYZE", "EXTENDED"}));
  if (table && (s.size() <= behind || (s.size() == behind + 1 && column))) return {Class::read, "it describes a table"};
  return opaque("it is not understood");
}

Verdict classify_set(const Statement& s, int depth) {
  if (s.word(1, "STATEMENT")) {
    for (std::size_t i = 2; i < s.size(); ++i) {
      if (!s.word(i, "FOR")) continue;
      Verdict inner = classify_one(s.from(i + 1), depth + 1);
      if (inner.kind == Class::read) inner = {Class::primary, "it runs under settings of its own (SET STATEMENT)"};
      return inner;
    }
    return opaque("it is not understood");
  }
  for (std::size_t i = 1; i < s.size(); ++i) {
    const bool changes_server = s.any_of(i, {"GLOBAL", "PASSWORD"}) || (s.word(i, "DEFAULT") && s.word(i + 1, "ROLE")) ||
                                (s.at(i).kind == Kind::system_variable && same_word(s.at(i).text, "@@GLOBAL"));
    if (changes_server) return {Class::write, "it changes the server"};
  }
  return {Class::session, "it changes settings of the connection"};
}

// They commit what came before them, whether they succeed or not. KB: "SQL statements that cause an implicit commit".
bool commits(const Statement& s) {
  return s.any_of(0, {"ALTER", "CACHE", "CHANGE", "CHECK", "CREATE", "DROP", "FLUSH", "GRANT", "OPTIMIZE", "RENAME", "REPAIR", "RESET", "REVOKE", "SHUTDOWN", "START", "STOP", "TRUNCATE"}) ||
         (s.word(0, "ANALYZE") && s.any_of(1, {"TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"})) || (s.word(0, "LOAD") && s.word(1, "INDEX")) || (s.word(0, "SET") && s.word(1, "PASSWORD"));
}

Verdict class_of(const Statement& s, int depth) {
  if (depth > kDeepest) return opaque("it is not understood");
  std::size_t first = 0;
  while (s.symbol(first, "(")) ++first;
  if (s.any_of(first, {"SELECT", "VALUES"}) || s.word(first, "WITH")) return classify_select(s);
  if (first > 0) return opaque("it is not understood");
  if (s.word(0, "SHOW")) return classify_show(s);
  if (s.any_of(0, {"EXPLAIN", "DESCRIBE", "DESC"})) return classify_explain(s);
  if (s.word(0, "ANALYZE")) {
    if (s.any_of(1, {"TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"})) return {Class::write, "it stores statistics"};
    const std::size_t i = s.word(1, "FORMAT") ? 4 : 1;
    return classify_one(s.from(i), depth + 1);  // runs the statement
  }
  if (s.word(0, "SET")) return classify_set(s, depth);
  if (s.word(0, "BEGIN") && s.word(1, "NOT")) return {Class::write, "it is a program", false, true};
  if (s.word(0, "START") && !s.word(1, "TRANSACTION")) return {Class::write, "it changes the server's replication"};
  if (s.any_of(0, {"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA"}))
    return {Class::session, "it is of a transaction that the connection has open"};
  if (s.any_of(0, {"LOCK", "UNLOCK"})) return {Class::session, "it is of locks that the connection holds"};
  if (s.word(0, "EXECUTE") && s.word(1, "IMMEDIATE")) return {Class::write, "it runs a text that is not known", false, true};
  if (s.any_of(0, {"PREPARE", "EXECUTE", "DEALLOCATE"}) || (s.word(0, "DROP") && s.word(1, "PREPARE")))
    return {Class::session, "it is of statements that the connection has prepared; the gateway prepares by itself"};
  if (s.word(0, "USE")) return {Class::session, "it changes the connection's default database; name the database in the statement"};
  if (s.word(0, "GET")) return {Class::session, "it tells what the connection itself did before; errors come with the call's fault"};
  if (s.word(0, "LOAD"))
    for (std::size_t i = 1; i < 5; ++i)
      if (s.word(i, "LOCAL")) return {Class::session, "it takes over the connection (LOCAL); use INSERT"};
  if (s.word(0, "HANDLER")) return {Class::session, "it is of a table that the connection has open"};
  const bool temporary =
      (s.any_of(0, {"CREATE", "DROP"}) && s.word(1, "TEMPORARY")) || (s.word(0, "CREATE") && s.word(1, "OR") && s.word(3, "TEMPORARY"));
  if (temporary) return {Class::session, "a temporary table is the connection's own"};
  if (s.any_of(0, {"CHECKSUM", "HELP", "DO", "CHECK"})) {
    Verdict verdict{Class::primary, "only the primary runs it"};
    look_within(s, verdict);
    return verdict;
  }
  if (s.at(0).kind != Kind::word) return opaque("it is not understood");
  const bool defines = s.any_of(0, {"CREATE", "ALTER", "DROP", "RENAME", "GRANT", "REVOKE"});
  return {Class::write, to_utf8(s.at(0).text.substr(0, 32)) + " is no read", false, defines};
}

Verdict classify_one(const Statement& s, int depth) {
  Verdict verdict = class_of(s, depth);
  if (commits(s)) verdict.ends = Ends::always;
  return verdict;
}

std::optional<Verdict> classify(std::string_view text, mariadb::Reading reading, const mariadb::Views* views) {
  const auto all = mariadb::tokens(text, reading);
  if (!all) return std::nullopt;
  std::optional<Verdict> verdict;
  for (std::size_t from = 0; from < all->size();) {
    std::size_t to = from;
    while (to < all->size() && !((*all)[to].kind == Kind::symbol && (*all)[to].text == ";")) ++to;
    if (to > from) {
      Verdict one = classify_one(Statement(std::span(*all).subspan(from, to - from), views));
      verdict = verdict ? heavier(std::move(*verdict), std::move(one)) : std::move(one);
    }
    from = to + 1;
  }
  return verdict ? std::move(*verdict) : Verdict{Class::primary, "there is no statement in it"};
}

}  // namespace

Verdict classify_mariadb(std::string_view text, const mariadb::Views* views) {
  if (text.size() > kLongest) return opaque("it is longer than " + std::to_string(kLongest) + " bytes, which is not looked into");
  const auto readings = mariadb::readings(text);
  if (readings.empty()) return opaque("it has comments for too many versions of servers");
  std::optional<Verdict> verdict;
  for (const mariadb::Reading& reading : readings) {
    auto one = classify(text, reading, views);
    if (one) verdict = verdict ? heavier(std::move(*verdict), std::move(*one)) : std::move(*one);
  }
  return verdict ? std::move(*verdict) : opaque("a string or a comment in it does not end");
}

}  // namespace sluice::sql
