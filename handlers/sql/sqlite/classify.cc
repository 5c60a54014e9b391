#include "handlers/sql/sqlite/classify.h"

#include <algorithm>
#include <array>

namespace sluice::sql::sqlite {
namespace {

bool same(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) { return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y; });
}

template <std::size_t N>
bool one_of(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::ranges::any_of(names, [&](std::string_view n) { return same(name, n); });
}

// PRAGMAs that only tell, even with an argument: it names a table or an index.
constexpr std::array<std::string_view, 8> kTellingOfATable{"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list", "foreign_key_check"};
// PRAGMAs that only tell when they have no argument.
constexpr std::array<std::string_view, 18> kTelling{
    "application_id", "auto_vacuum", "collation_list", "compile_options", "data_version", "database_list", "encoding", "foreign_keys", "freelist_count", "function_list",
    "journal_mode",   "module_list", "page_count",     "page_size",       "pragma_list",  "query_only",    "schema_version", "user_version"};
constexpr std::array<std::string_view, 2> kChecking{"integrity_check", "quick_check"};  // their argument is a number of errors, or a table
constexpr std::array<std::string_view, 4> kActingAsTables{"incremental_vacuum", "optimize", "shrink_memory", "wal_checkpoint"};

constexpr std::string_view kSchema = "changes the schema";
constexpr std::string_view kVacuum = "VACUUM cannot run inside the transaction that writes share, and with INTO it writes a file of its caller's choice";

// Functions whose answer belongs to the connection that wrote, and those that act.
constexpr std::array<std::string_view, 3> kOfTheWriter{"changes", "last_insert_rowid", "total_changes"};
constexpr std::array<std::string_view, 6> kActing{"edit", "fts3_tokenizer", "load_extension", "readfile", "sqlite_log", "writefile"};
// Those that write although SQLite calls their statement read-only: FTS3 and FTS4 merge their index into one.
constexpr std::array<std::string_view, 1> kWriting{"optimize"};

// Without the white space, comments and semicolons that it begins with.
std::string_view past_blank(std::string_view text) {
  while (!text.empty()) {
    if (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r' || text[0] == '\f' || text[0] == ';') {
      text.remove_prefix(1);
    } else if (text.starts_with("--")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with("/*")) {
      const auto end = text.find("*/", 2);
      text.remove_prefix(end == text.npos ? text.size() : end + 2);
    } else {
      break;
    }
  }
  return text;
}

// The authorizer is not asked about it.
bool is_vacuum(sqlite3_stmt* statement) {
  const char* text = sqlite3_sql(statement);
  return text && same(past_blank(text).substr(0, 6), "vacuum");
}

}  // namespace

void Sight::found(Class kind, std::string why) {
  // read < primary < write < session: the strongest finding stands.
  auto rank = [](Class c) { return c == Class::read ? 0 : c == Class::primary ? 1 : c == Class::write ? 2 : 3; };
  if (rank(kind) < rank(worst_)) return;
  // A change of the schema may turn out to be none (see verdict): it hides no other write.
  if (rank(kind) == rank(worst_) && why_ != kSchema) return;
  worst_ = kind;
  why_ = std::move(why);
}

bool Sight::saw(int action, const char* a, const char* b) {
  look(action, a ? a : "", b ? b : "", b != nullptr);
  return !refused();
}

void Sight::look(int action, std::string_view first, std::string_view second, bool has_argument) {
  switch (action) {
    case SQLITE_READ:
      // A PRAGMA that acts, in the clothes of a table.
      if (same(first.substr(0, 7), "pragma_") && one_of(first.substr(7), kActingAsTables)) found(Class::session, "PRAGMA " + std::string(first.substr(7)) + " acts on the connection or the file");
      // Others' texts, with their values in them.
      if (same(first, "sqlite_stmt")) found(Class::session, "sqlite_stmt tells what other callers ran on the connection");
      return;
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return;
    case SQLITE_FUNCTION:
      if (one_of(second, kOfTheWriter)) return found(Class::primary, std::string(second) + "() tells of the connection that wrote");
      if (one_of(second, kWriting)) return found(Class::write, std::string(second) + "() rewrites a full-text index");
      if (one_of(second, kActing)) return found(Class::session, std::string(second) + "() acts outside of the database");
      return;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
      if (first.starts_with("sqlite_")) return found(Class::write, std::string(kSchema));
      break;
    default: break;
  }
  switch (action) {
    case SQLITE_INSERT: return found(Class::write, "inserts into " + std::string(first));
    case SQLITE_UPDATE: return found(Class::write, "updates " + std::string(first));
    case SQLITE_DELETE: return found(Class::write, "deletes from " + std::string(first));
    case SQLITE_TRANSACTION: return found(Class::session, std::string(first) + " speaks of a transaction");
    case SQLITE_SAVEPOINT: return found(Class::session, std::string(first) + " SAVEPOINT speaks of a transaction");
    case SQLITE_ATTACH:
    case SQLITE_DETACH: return found(Class::session, "ATTACH and DETACH change the connection");
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_CREATE_TEMP_VIEW: return found(Class::session, "temporary objects live in one connection");
    case SQLITE_PRAGMA: {
      const bool tells = one_of(first, kTellingOfATable) || one_of(first, kChecking) || (!has_argument && one_of(first, kTelling));
      tells_ |= tells;
      if (!tells) found(Class::session, "PRAGMA " + std::string(first) + " acts on the connection or the file");
      return;
    }
    default: return found(Class::write, std::string(kSchema));
  }
}

Verdict Sight::verdict(sqlite3_stmt* statement) const {
  if (worst_ == Class::session) return {worst_, why_};
  if (sqlite3_stmt_isexplain(statement)) return {Class::read, "EXPLAIN runs nothing"};
  if (is_vacuum(statement)) return {Class::write, std::string(kVacuum)};
  // A table-valued function (json_each) declares its columns at first use, which looks like a change of the schema.
  const bool declares = worst_ == Class::write && why_ == kSchema && sqlite3_stmt_readonly(statement);
  if (worst_ == Class::write && !declares) return {worst_, why_};
  // PRAGMA journal_mode only tells, and is not called read-only.
  if (!sqlite3_stmt_readonly(statement) && !tells_) return {Class::write, "SQLite says that it may write"};
  if (worst_ == Class::primary) return {worst_, why_};
  return {Class::read, "SQLite says that it only reads"};
}

bool holds_statement(std::string_view tail) { return !past_blank(tail).empty(); }

bool not_run_here(const Verdict& verdict) { return verdict.kind == Class::session || verdict.why == kVacuum; }

std::string refusal(const Verdict& verdict, std::string_view text) {
  if (verdict.why == kVacuum)
    return "'" + std::string(text.substr(0, 60)) + "' is not run here: " + verdict.why + "; an operator can run it with the sqlite3 program while the gateway is stopped";
  std::string advice;
  if (verdict.why.find("transaction") != std::string::npos)
    advice = "call sql.begin, sql.commit and sql.rollback, or sql.batch";
  else if (verdict.why.find("temporary") != std::string::npos)
    advice = "use WITH, or a table of your own";
  else
    advice = "the gateway sets its connections up itself";
  return "'" + std::string(text.substr(0, 60)) + "' is not run here: " + verdict.why + ", and connections are shared by all callers; " + advice;
}

}  // namespace sluice::sql::sqlite
