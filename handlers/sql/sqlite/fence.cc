#include "handlers/sql/sqlite/fence.h"

namespace sluice::sql::sqlite {
namespace {

Rows ask(Connection& connection, const char* text, Value::Array params) {
  static const Stop never = [] { return false; };
  const auto prepared = connection.prepare(text);
  connection.bind(prepared, Value(std::move(params)));
  return connection.run(prepared, AnswerLimits{}, never);
}

}  // namespace

void check_fence(Connection& connection, const Fence& fence) {
  // Does nothing where the table is: cheaper than to find out that it is not.
  ask(connection, "CREATE TABLE IF NOT EXISTS sluice_fences(name TEXT PRIMARY KEY, token INTEGER NOT NULL) WITHOUT ROWID", {});
  const Rows rows = ask(connection, "SELECT token FROM sluice_fences WHERE name = ?", {fence.lock});
  std::int64_t seen = 0;
  if (!rows.rows.empty())
    if (const auto* token = rows.rows[0].get_if<Value::Array>()->at(0).get_if<std::int64_t>()) seen = *token;
  if (fence.token < seen) throw stale(fence, seen);
  if (fence.token > seen) ask(connection, "INSERT INTO sluice_fences VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET token = excluded.token", {fence.lock, fence.token});
}

}  // namespace sluice::sql::sqlite
