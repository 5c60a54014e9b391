#include "handlers/sql/sqlite/connection.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "handlers/sql/sqlite/classify.h"
#include "rpc/utf8.h"

namespace sluice::sql::sqlite {
namespace {

constexpr std::size_t kCached = 256;  // prepared statements of a connection
constexpr int kStepsBetweenLooks = 4000;
constexpr int kLongestValue = 64 << 20;  // bytes

// "SQLITE_CONSTRAINT_UNIQUE": the names that callers look for. The codes are SQLite's, extended ones included.
std::string code_name(int code) {
  switch (code) {
#define NAME(c) \
  case c: return #c
    NAME(SQLITE_CONSTRAINT_CHECK);
    NAME(SQLITE_CONSTRAINT_FOREIGNKEY);
    NAME(SQLITE_CONSTRAINT_NOTNULL);
    NAME(SQLITE_CONSTRAINT_PRIMARYKEY);
    NAME(SQLITE_CONSTRAINT_TRIGGER);
    NAME(SQLITE_CONSTRAINT_UNIQUE);
    NAME(SQLITE_CONSTRAINT_DATATYPE);
    NAME(SQLITE_CONSTRAINT_ROWID);
    NAME(SQLITE_BUSY_SNAPSHOT);
    default: break;
  }
  switch (code & 0xFF) {
    NAME(SQLITE_ERROR);
    NAME(SQLITE_PERM);
    NAME(SQLITE_ABORT);
    NAME(SQLITE_BUSY);
    NAME(SQLITE_LOCKED);
    NAME(SQLITE_NOMEM);
    NAME(SQLITE_READONLY);
    NAME(SQLITE_INTERRUPT);
    NAME(SQLITE_IOERR);
    NAME(SQLITE_CORRUPT);
    NAME(SQLITE_FULL);
    NAME(SQLITE_CANTOPEN);
    NAME(SQLITE_SCHEMA);
    NAME(SQLITE_TOOBIG);
    NAME(SQLITE_CONSTRAINT);
    NAME(SQLITE_MISMATCH);
    NAME(SQLITE_AUTH);
    NAME(SQLITE_RANGE);
    NAME(SQLITE_NOTADB);
#undef NAME
    default: return "SQLITE_" + std::to_string(code);
  }
}

// sluice_boottime_ms(): the clock that leases are measured in, read when the statement runs and not when it was queued.
void boottime_ms(sqlite3_context* context, int, sqlite3_value**) {
  timespec t{};
  ::clock_gettime(CLOCK_BOOTTIME, &t);
  sqlite3_result_int64(context, t.tv_sec * std::int64_t{1000} + t.tv_nsec / 1'000'000);
}

std::string ordinal(int index) { return "parameter " + std::to_string(index); }

}  // namespace

bool refuses_write(const Fault& fault) {
  return std::ranges::any_of(fault.detail(), [](const auto& entry) {
    const auto* code = entry.second.template get_if<std::string>();
    return entry.first == "sqlite" && code && (*code == "SQLITE_READONLY" || *code == "SQLITE_AUTH");
  });
}

Connection::Prepared::~Prepared() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);  // a cached statement must not keep a caller's data
}

Connection::Connection(const std::string& file, Mode mode) {
  const int flags = SQLITE_OPEN_NOMUTEX | (mode == Mode::writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
  const int opened = sqlite3_open_v2(file.c_str(), &handle_, flags, nullptr);
  auto fail = [&](int code) {
    const std::string what = handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code);
    sqlite3_close(handle_);
    throw Fault(Fault::Kind::unavailable, "the database file '" + file + "' cannot be opened: " + what + " (" + code_name(code) + ")");
  };
  if (opened != SQLITE_OK) fail(opened);
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, 5000);
  // NORMAL would lose acknowledged writes at a loss of power; with group commit FULL costs little.
  const char* setup = mode == Mode::writer ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON" : "PRAGMA query_only=ON; SELECT 1 FROM sqlite_schema";
  if (const int code = sqlite3_exec(handle_, setup, nullptr, nullptr, nullptr); code != SQLITE_OK) fail(code);
  sqlite3_create_function_v2(handle_, "sluice_boottime_ms", 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, nullptr, boottime_ms, nullptr, nullptr, nullptr);
  // Functions make long values out of short statements, and are not interrupted within one.
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, kLongestValue);
  sqlite3_set_authorizer(handle_, &Connection::authorize, this);
  sqlite3_progress_handler(
      handle_, kStepsBetweenLooks, [](void* self) { return static_cast<int>(static_cast<Connection*>(self)->stops()); }, this);
}

Connection::~Connection() {
  for (auto& cached : cache_) sqlite3_finalize(cached.statement);
  for (auto& [text, statement] : controls_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

int Connection::authorize(void* self, int action, const char* a, const char* b, const char*, const char*) noexcept {
  Sight* sight = static_cast<Connection*>(self)->sight_;
  return !sight || sight->saw(action, a, b) ? SQLITE_OK : SQLITE_DENY;
}

Connection::Prepared Connection::prepare(const std::string& text) {
  if (auto found = index_.find(text); found != index_.end()) {
    cache_.splice(cache_.begin(), cache_, found->second);
    return {found->second->statement, &found->second->verdict};
  }
  Sight sight;
  sight_ = &sight;
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  const int code = sqlite3_prepare_v3(handle_, text.data(), static_cast<int>(text.size()) + 1, SQLITE_PREPARE_PERSISTENT, &statement, &tail);
  sight_ = nullptr;
  if (sight.refused()) {
    sqlite3_finalize(statement);
    refused_ = sight.verdict(nullptr);
    return {nullptr, &refused_};
  }
  if (code != SQLITE_OK) throw error(text);
  if (!statement) throw Fault(Fault::Kind::bad_arguments, "the statement is empty");
  if (holds_statement({tail, static_cast<std::size_t>(text.data() + text.size() - tail)})) {
    sqlite3_finalize(statement);
    throw Fault(Fault::Kind::bad_arguments, "several statements in one text, at byte " + std::to_string(tail - text.data()) + "; pass them to sql.batch, which runs them in one transaction");
  }
  Verdict verdict = sight.verdict(statement);
  if (cache_.size() == kCached) {
    index_.erase(cache_.back().text);
    sqlite3_finalize(cache_.back().statement);
    cache_.pop_back();
  }
  cache_.push_front({text, statement, std::move(verdict)});
  index_.emplace(cache_.front().text, cache_.begin());
  return {statement, &cache_.front().verdict};
}

Fault Connection::error(const std::string& text) const {
  const int code = sqlite3_extended_errcode(handle_);
  const std::string name = code_name(code);
  std::string message = std::string(sqlite3_errmsg(handle_)) + " (" + name + ")";
  if (const int at = sqlite3_error_offset(handle_); at >= 0 && static_cast<std::size_t>(at) <= text.size()) {
    // The line of the statement that holds the error, and a caret below the place.
    const auto start = text.rfind('\n', static_cast<std::size_t>(at)) == text.npos || at == 0 ? 0 : text.rfind('\n', static_cast<std::size_t>(at) - 1) + 1;
    const auto from = std::max(start, static_cast<std::size_t>(std::max(at - 60, 0)));
    const auto line = text.substr(from, std::min(text.find('\n', static_cast<std::size_t>(at)), from + 120) - from);
    message += "\n  " + line + "\n  " + std::string(static_cast<std::size_t>(at) - from, ' ') + "^";
  } else {
    message += " in: " + text.substr(0, 120) + (text.size() > 120 ? "..." : "");
  }
  return Fault(Fault::Kind::sql_error, message, {{"sqlite", name}});
}

void Connection::bind(const Prepared& prepared, const Value& params) {
  sqlite3_stmt* statement = prepared.get();
  const int count = sqlite3_bind_parameter_count(statement);
  const auto* list = params.get_if<Value::Array>();
  const auto* names = params.get_if<Value::Struct>();
  if (!list && !names && !params.is_nil()) throw Fault(Fault::Kind::bad_arguments, "parameters must be an array or a struct, not " + describe(params));

  std::size_t most = 0;
  std::size_t used_names = 0;
  for (int i = 1; i <= count; ++i) {
    const char* name = sqlite3_bind_parameter_name(statement, i);
    const Value* value = nullptr;
    // ? and ?7 are numbered by SQLite; $7 is a name to it, and a number to everyone who comes from PostgreSQL.
    int number = i;
    bool numbered = !name || name[0] == '?';
    if (name && name[0] == '$' && name[1] >= '1' && name[1] <= '9') {
      number = std::atoi(name + 1);
      numbered = true;
    }
    if (numbered) {
      most = std::max(most, static_cast<std::size_t>(number));
      if (list && static_cast<std::size_t>(number) <= list->size()) value = &(*list)[static_cast<std::size_t>(number) - 1];
      if (names) throw Fault(Fault::Kind::bad_arguments, "the statement numbers its parameters; pass an array of them, not a struct");
    } else if (names) {
      value = params.find(name + 1);
      if (!value) throw Fault(Fault::Kind::bad_arguments, std::string("the statement's parameter ") + name + " is not in the struct that was passed");
      ++used_names;
    } else {
      throw Fault(Fault::Kind::bad_arguments, std::string("the statement names its parameters (") + name + "); pass a struct of them, not " + describe(params));
    }
    if (!value) continue;  // counted below

    int code = SQLITE_OK;
    switch (value->kind()) {
      case Value::Kind::nil: code = sqlite3_bind_null(statement, i); break;
      case Value::Kind::boolean: code = sqlite3_bind_int(statement, i, *value->get_if<bool>()); break;
      case Value::Kind::integer: code = sqlite3_bind_int64(statement, i, *value->get_if<std::int64_t>()); break;
      case Value::Kind::real: code = sqlite3_bind_double(statement, i, *value->get_if<double>()); break;
      case Value::Kind::string: {
        const auto& text = *value->get_if<std::string>();
        code = sqlite3_bind_text64(statement, i, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
      }
      case Value::Kind::bytes: {
        const auto& octets = value->get_if<Bytes>()->octets;
        code = sqlite3_bind_blob64(statement, i, octets.empty() ? "" : octets.data(), octets.size(), SQLITE_TRANSIENT);
        break;
      }
      case Value::Kind::datetime: {
        // The form of SQLite's own date functions.
        const auto when = *value->get_if<DateTime>();
        const auto day = std::chrono::floor<std::chrono::days>(when);
        const std::chrono::year_month_day date(day);
        const std::chrono::hh_mm_ss time(when - day);
        char text[48];
        int length = std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                   static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                                   static_cast<int>(time.seconds().count()));
        if (const auto micros = time.subseconds().count(); micros > 0) length += std::snprintf(text + length, sizeof text - static_cast<std::size_t>(length), ".%06d", static_cast<int>(micros));
        code = sqlite3_bind_text(statement, i, text, length, SQLITE_TRANSIENT);
        break;
      }
      default:
        throw Fault(Fault::Kind::bad_arguments, ordinal(i) + " is " + describe(*value) + ", which SQLite cannot store; pass an integer of 64 bits, a double, text, bytes or a time");
    }
    if (code != SQLITE_OK) throw Fault(Fault::Kind::too_large, ordinal(i) + ": " + sqlite3_errstr(code));
  }
  const std::size_t given = list ? list->size() : names ? names->size() : 0;
  if (!names && given != most)
    throw Fault(Fault::Kind::bad_arguments, "the statement takes " + std::to_string(most) + " parameter" + (most == 1 ? "" : "s") + ", " + std::to_string(given) + (given == 1 ? " was" : " were") + " passed");
  if (names && used_names < given)
    throw Fault(Fault::Kind::bad_arguments, "the statement takes " + std::to_string(used_names) + " named parameters, the struct that was passed has " + std::to_string(given));
}

std::vector<std::string> Connection::columns(const Prepared& prepared) {
  std::vector<std::string> names;
  const int count = sqlite3_column_count(prepared.get());
  for (int i = 0; i < count; ++i) names.emplace_back(sqlite3_column_name(prepared.get(), i));
  return names;
}

Stop stop_at(const Reply& reply, Clock::time_point deadline) {
  return [&reply, deadline]() -> std::optional<Fault::Kind> {
    if (reply.cancelled()) return Fault::Kind::cancelled;
    if (Clock::now() >= deadline) return Fault::Kind::deadline_exceeded;
    return std::nullopt;
  };
}

bool Connection::stops() {
  if (!stop_) return false;
  stopped_by_ = halted_.load(std::memory_order_relaxed) ? Fault::Kind::cancelled : (*stop_)();
  return stopped_by_.has_value();
}

bool Connection::step(const Prepared& prepared, Value::Array& row, std::size_t& bytes, const Stop& stop) {
  sqlite3_stmt* statement = prepared.get();
  stop_ = &stop;
  stopped_by_.reset();
  const int code = sqlite3_step(statement);
  stop_ = nullptr;
  if (code == SQLITE_DONE) return false;
  if (code == SQLITE_INTERRUPT) {
    const auto kind = stopped_by_.value_or(Fault::Kind::cancelled);
    throw Fault(kind, std::string("the statement was stopped: ") + (halted_ ? "the gateway is stopping" : kind == Fault::Kind::cancelled ? "its caller is gone" : "its time was up; give it more (timeout_ms), or have it do less"));
  }
  if (code != SQLITE_ROW) throw error(sqlite3_sql(statement));
  const int count = sqlite3_data_count(statement);
  row.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    bytes += sizeof(Value);
    switch (sqlite3_column_type(statement, i)) {
      case SQLITE_INTEGER: row.emplace_back(static_cast<std::int64_t>(sqlite3_column_int64(statement, i))); break;
      case SQLITE_FLOAT: row.emplace_back(sqlite3_column_double(statement, i)); break;
      case SQLITE_TEXT: {
        const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
        std::string_view text(data, static_cast<std::size_t>(sqlite3_column_bytes(statement, i)));
        bytes += text.size();
        if (is_utf8(text))
          row.emplace_back(text);
        else
          row.emplace_back(Bytes{std::string(text)});
        break;
      }
      case SQLITE_BLOB: {
        const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, i));
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
        bytes += size;
        row.emplace_back(Bytes{size ? std::string(data, size) : std::string()});
        break;
      }
      default: row.emplace_back(); break;
    }
  }
  return true;
}

Rows Connection::run(const Prepared& prepared, const AnswerLimits& limits, const Stop& stop) {
  Rows rows;
  rows.columns = columns(prepared);
  std::size_t bytes = 0;
  const std::int64_t before = sqlite3_total_changes64(handle_);
  for (Value::Array row; step(prepared, row, bytes, stop); row = {}) {
    if (rows.rows.size() == limits.rows)
      throw limits.more_rows();
    if (bytes > limits.bytes)
      throw limits.more_bytes();
    rows.rows.emplace_back(std::move(row));
  }
  // total_changes counts what triggers did, changes does not; but only total_changes tells whether there was a change at all.
  if (sqlite3_total_changes64(handle_) != before) rows.affected = sqlite3_changes64(handle_);
  rows.last_insert_id = sqlite3_last_insert_rowid(handle_);
  return rows;
}

int Connection::control(const char* sql) noexcept {
  auto [found, fresh] = controls_.try_emplace(sql, nullptr);
  if (fresh)
    if (const int code = sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &found->second, nullptr); code != SQLITE_OK) {
      controls_.erase(found);
      return code;
    }
  sqlite3_step(found->second);
  return sqlite3_reset(found->second);  // the code of the step
}

}  // namespace sluice::sql::sqlite
