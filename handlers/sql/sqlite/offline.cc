#include "handlers/sql/sqlite/offline.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "handlers/sql/sqlite/classify.h"

namespace sluice::sql::sqlite {
namespace {

constexpr int kInventions = 200;            // things that are made up for one statement
constexpr std::size_t kLongest = 1 << 20;   // bytes

int weight(Class kind) { return kind == Class::read ? 0 : kind == Class::primary ? 1 : kind == Class::write ? 2 : 3; }

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

// The first word, in capitals; what SQLite takes for white space and comments is passed over.
std::string first_word(std::string_view text) {
  while (!text.empty()) {
    if (text.starts_with("--"))
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    else if (text.starts_with("/*"))
      text.remove_prefix(std::min(text.find("*/", 2), text.size() - 2) + 2);
    else if (static_cast<unsigned char>(text[0]) <= ' ' || text[0] == ';')
      text.remove_prefix(1);
    else
      break;
  }
  std::string out;
  for (char c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    if (c < 'A' || c > 'Z') break;
    out += c;
  }
  return out;
}

bool changes(std::string_view word) {
  constexpr std::array<std::string_view, 12> kChanging{"ALTER", "ANALYZE", "ATTACH", "CREATE", "DELETE", "DETACH", "DROP", "INSERT", "REINDEX", "REPLACE", "UPDATE", "VACUUM"};
  return std::ranges::find(kChanging, word) != kChanging.end();
}

constexpr std::string_view kSchemaMay = "may change the schema";

class Stage {
 public:
  Stage() {
    sqlite3* raw = nullptr;
    sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(raw);
    sqlite3_limit(raw, SQLITE_LIMIT_EXPR_DEPTH, 500);
  }

  // Of the first statement; `text` becomes what comes after it.
  Verdict next(std::string_view& text) {
    for (int i = 0; i < kInventions; ++i) {
      Sight sight;
      sqlite3_set_authorizer(
          database_.get(), [](void* sight, int action, const char* a, const char* b, const char*, const char*) { return static_cast<Sight*>(sight)->saw(action, a, b) ? SQLITE_OK : SQLITE_DENY; }, &sight);
      sqlite3_stmt* statement = nullptr;
      const char* tail = nullptr;
      const int code = sqlite3_prepare_v2(database_.get(), text.data(), static_cast<int>(text.size()), &statement, &tail);
      const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> owner(statement, &sqlite3_finalize);
      sqlite3_set_authorizer(database_.get(), nullptr, nullptr);
      if (sight.refused()) {
        const std::string_view whole = text;
        text = tail && code == SQLITE_OK ? text.substr(static_cast<std::size_t>(tail - text.data())) : std::string_view();
        return code == SQLITE_OK ? sight.verdict(statement) : refused(sight, whole);
      }
      if (code == SQLITE_OK) {
        text.remove_prefix(static_cast<std::size_t>(tail - text.data()));
        if (!statement) return {Class::read, ""};  // a comment
        Verdict verdict = sight.verdict(statement);
        // DROP ... IF EXISTS of what is not there does nothing here; there it may.
        if (verdict.kind == Class::read && changes(first_word(sqlite3_sql(statement)))) verdict = {Class::write, std::string(kSchemaMay)};
        if (verdict.kind == Class::read && !unknown_function_.empty()) return {Class::primary, unknown_function_ + "() is none of SQLite's own functions, and may change something"};
        return verdict;
      }
      const std::string problem = sqlite3_errmsg(database_.get());
      if (!invent(problem)) return unprepared(std::exchange(text, {}), problem);
    }
    return unprepared(std::exchange(text, {}), "it names too many things");
  }

 private:
  static Verdict refused(const Sight& sight, std::string_view) { return sight.verdict(nullptr); }

  static Verdict unprepared(std::string_view text, const std::string& problem) {
    const std::string word = first_word(text);
    if (changes(word)) return {Class::write, word + " changes something"};
    return {Class::primary, "SQLite does not take it: " + problem};
  }

  bool run(const std::string& sql) { return sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK; }

  // Makes what the error misses. False: it misses nothing that can be made.
  bool invent(const std::string& problem) {
    auto after = [&](std::string_view prefix) { return problem.starts_with(prefix) ? problem.substr(prefix.size()) : std::string(); };
    if (std::string table = after("no such table: "); !table.empty()) {
      if (const auto dot = table.find('.'); dot != table.npos) {
        const std::string schema = table.substr(0, dot);
        if (schema != "main" && schema != "temp" && !run("ATTACH ':memory:' AS " + quoted(schema)) && !tables_.contains(schema)) return false;
        tables_.insert(schema);
        table = quoted(schema) + "." + quoted(table.substr(dot + 1));
      } else {
        table = quoted(table);
      }
      // rowid tables with a key of one column: what INTEGER PRIMARY KEY and upserts ask for.
      if (!run("CREATE TABLE " + table + "(id INTEGER PRIMARY KEY)")) return false;
      return made_.insert(table).second;
    }
    if (std::string column = after("no such column: "); !column.empty()) {
      if (const auto dot = column.rfind('.'); dot != column.npos) column = column.substr(dot + 1);
      bool added = false;  // which table it is of only SQLite knows: one has it already, or none
      for (const std::string& table : made_) {
        if (run("ALTER TABLE " + table + " ADD COLUMN " + quoted(column))) {
          added = true;
          break;
        }
      }
      if (added && columns_[column]++ > static_cast<int>(made_.size())) return false;
      return added;
    }
    if (const auto named = problem.find(" has no column named "); problem.starts_with("table ") && named != problem.npos)
      return run("ALTER TABLE " + quoted(problem.substr(6, named - 6)) + " ADD COLUMN " + quoted(problem.substr(named + 21)));
    if (const auto has = problem.find(" has "); problem.starts_with("table ") && has != problem.npos && problem.find(" values were supplied") != problem.npos) {
      // "table t has 1 columns but 3 values were supplied"
      const int wanted = std::atoi(problem.c_str() + problem.find(" but ") + 5), there = std::atoi(problem.c_str() + has + 5);
      for (int i = there; i < wanted; ++i)
        if (!run("ALTER TABLE " + quoted(problem.substr(6, has - 6)) + " ADD COLUMN " + quoted("made up " + std::to_string(i)))) return false;
      return wanted > there;
    }
    if (const std::string column = after("cannot join using column "); !column.empty()) {
      const std::string name = column.substr(0, column.find(" - "));
      bool added = false;
      for (const std::string& table : made_) added |= run("ALTER TABLE " + table + " ADD COLUMN " + quoted(name));
      return added;
    }
    if (const std::string function = after("no such function: "); !function.empty()) {
      unknown_function_ = function;
      return sqlite3_create_function_v2(database_.get(), function.c_str(), -1, SQLITE_UTF8, nullptr, [](sqlite3_context*, int, sqlite3_value**) {}, nullptr, nullptr, nullptr) == SQLITE_OK;
    }
    if (const std::string collation = after("no such collation sequence: "); !collation.empty())
      return sqlite3_create_collation(database_.get(), collation.c_str(), SQLITE_UTF8, nullptr, [](void*, int, const void*, int, const void*) { return 0; }) == SQLITE_OK;
    return false;
  }

  std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)> database_{nullptr, &sqlite3_close_v2};
  std::set<std::string> made_, tables_;
  std::map<std::string, int> columns_;
  std::string unknown_function_;
};

}  // namespace

Verdict classify_offline(std::string_view text) {
  if (text.size() > kLongest) return {Class::primary, "it is longer than " + std::to_string(kLongest) + " bytes, which is not looked into"};
  if (text.find('\0') != text.npos) return {Class::primary, "it has a NUL character in it"};
  if (!holds_statement(text)) return {Class::primary, "there is no statement in it"};
  Stage stage;
  Verdict whole{Class::read, ""};
  while (holds_statement(text)) {
    Verdict verdict = stage.next(text);
    if (whole.why.empty() || weight(verdict.kind) > weight(whole.kind)) whole = std::move(verdict);
  }
  return whole;
}

}  // namespace sluice::sql::sqlite
