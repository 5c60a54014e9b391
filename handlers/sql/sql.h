#pragma once
// sql: statements for the database behind the gateway, each run as a read or a write where it belongs.

#include <mutex>
#include <unordered_map>

#include "handlers/sql/backend.h"
#include "rpc/handler.h"

namespace sluice::sql {

class Sql final : public Handler {
 public:
  struct Limits {
    std::size_t cursors = 64;                // open ones of sql.open
    std::int64_t cursor_idle_ms = 60'000;    // then it is closed
    std::int64_t fetch_rows = 10'000;        // of one sql.fetch
  };

  // A database by the name that callers know it by. The first is the one they get who name none.
  struct Database {
    std::string name;
    Backend* backend;  // outlives the handler
  };
  explicit Sql(Backend& backend) : Sql({{"main", &backend}}, Limits{}) {}
  Sql(std::vector<Database> databases, Limits limits);
  ~Sql() override;

  std::string_view name() const override { return "sql"; }
  std::vector<Method> methods() override;

  // What sql.query and sql.execute do, for named statements too.
  void run(Reply, Statement, Options, bool expects_write);

 private:
  using Struct = Value::Struct;
  using MaybeStruct = std::optional<Value::Struct>;
  using MaybeParams = std::optional<Value>;

  void query(Answer<Struct>, std::string statement, MaybeParams params, MaybeStruct options);
  void execute(Answer<Struct>, std::string statement, MaybeParams params, MaybeStruct options);
  void batch(Answer<Struct>, Value::Array statements, MaybeStruct options);
  void begin(Answer<std::string>, MaybeStruct options);
  void commit(Answer<Struct>, std::string tx);
  void rollback(Answer<bool>, std::string tx);
  void open(Answer<std::string>, std::string statement, MaybeParams params, MaybeStruct options);
  void fetch(Answer<Struct>, std::string cursor, std::optional<std::int64_t> rows);
  void close(Answer<bool>, std::string cursor);
  void stream(StreamAnswer<Value::Array>, std::string statement, MaybeParams params, MaybeStruct options);
  void explain(Answer<Struct>, std::string statement, MaybeStruct options);
  void split(Answer<Struct>, std::optional<Value> share, MaybeStruct options);
  void status(Answer<Struct>, MaybeStruct options);

  struct OpenCursor;
  std::shared_ptr<OpenCursor> find_cursor(const std::string& handle, const Reply& caller);  // nullptr: he has none by that handle
  void forget_cursor(const std::string& handle);

  Backend& backend(const std::string& method, const std::string& db, const Reply&) const;
  Backend& backend(const std::string& method, Options&, const Reply&) const;

  const std::vector<Database> databases_;
  const Limits limits_;
  mutable std::mutex cursors_mutex_;  // loops share the table; each cursor belongs to the loop that opened it
  std::unordered_map<std::string, std::shared_ptr<OpenCursor>> cursors_;
};

}  // namespace sluice::sql
