#pragma once
// Connection: one SQLite handle with its prepared statements, its guard against statements that callers may not run, and the
// conversion of values both ways. Used by one thread at a time.

#include <sqlite3.h>

#include <functional>
#include <atomic>
#include <list>
#include <memory>
#include <unordered_map>

#include "handlers/sql/answer_limits.h"
#include "handlers/sql/backend.h"
#include "rpc/clock.h"

namespace sluice::sql::sqlite {

// Is it a read-only handle's no to a write?
bool refuses_write(const Fault&);

// Whether a statement that runs is to be stopped, and by what fault: asked every few thousand steps of SQLite's machine.
using Stop = std::function<std::optional<Fault::Kind>()>;

// The caller is gone (cancelled), or `deadline` has passed (deadline_exceeded). `reply` must outlive it.
Stop stop_at(const Reply& reply, Clock::time_point deadline);

class Connection {
 public:
  enum class Mode { reader, writer };

  // Opens the file (and creates it, as a writer) in WAL mode, durable. Throws Fault.
  Connection(const std::string& file, Mode);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // A prepared statement on loan from the connection's cache; reset when it goes.
  class Prepared {
   public:
    Prepared(sqlite3_stmt* statement, const Verdict* verdict) noexcept : statement_(statement), verdict_(verdict) {}
    Prepared(Prepared&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)), verdict_(other.verdict_) {}
    Prepared& operator=(Prepared&&) = delete;
    ~Prepared();
    sqlite3_stmt* get() const noexcept { return statement_; }
    const Verdict& verdict() const noexcept { return *verdict_; }

   private:
    sqlite3_stmt* statement_;
    const Verdict* verdict_;
  };

  // Prepares, classifies and remembers. A statement of Class::session is not prepared: it has a verdict alone. Throws Fault (sql_error; bad_arguments for several statements or none).
  Prepared prepare(const std::string& text);

  // Throws Fault (bad_arguments) when the parameters are not those of the statement.
  void bind(const Prepared&, const Value& params);

  // Runs to the end. Throws Fault: sql_error, too_large, cancelled.
  Rows run(const Prepared&, const AnswerLimits&, const Stop&);

  // One step: true with a row in `row`, false at the end. Throws as run() does.
  bool step(const Prepared&, Value::Array& row, std::size_t& bytes, const Stop&);
  static std::vector<std::string> columns(const Prepared&);

  // The gateway's own statements (BEGIN, SAVEPOINT ...); answers SQLite's code.
  int control(const char* sql) noexcept;
  // From any thread: what runs, or will, ends as cancelled. For the gateway's end.
  void halt() noexcept { halted_.store(true, std::memory_order_relaxed); }
  bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }
  Fault error(const std::string& text) const;  // the last one, as a caller reads it

 private:
  struct Cached {
    std::string text;
    sqlite3_stmt* statement;
    Verdict verdict;
  };
  bool stops();
  static int authorize(void* self, int action, const char* a, const char* b, const char* database, const char* trigger) noexcept;

  sqlite3* handle_ = nullptr;
  std::list<Cached> cache_;  // the last used in front
  std::unordered_map<std::string_view, std::list<Cached>::iterator> index_;
  std::unordered_map<std::string, sqlite3_stmt*> controls_;
  Verdict refused_;  // of the last statement that was
  class Sight* sight_ = nullptr;  // what the authorizer saw of the statement being prepared
  const Stop* stop_ = nullptr;  // of the statement that runs
  std::optional<Fault::Kind> stopped_by_;
  std::atomic<bool> halted_{false};
};

}  // namespace sluice::sql::sqlite
