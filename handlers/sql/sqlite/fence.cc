#include "handlers/sql/sqlite/fence.h"

#include <atomic>

#include "handlers/sql/keys.h"

namespace sluice::sql::sqlite {
namespace {

Rows ask(Connection& connection, const char* text, Value::Array params) {
  static const Stop never = [] { return std::nullopt; };
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

std::optional<std::vector<Rows>> find_reply(Connection& connection, const Options& options, const std::vector<Statement>& statements) {
  ask(connection, "CREATE TABLE IF NOT EXISTS sluice_keys(key TEXT PRIMARY KEY, digest TEXT NOT NULL, reply BLOB NOT NULL, created INTEGER NOT NULL DEFAULT (unixepoch())) WITHOUT ROWID", {});
  const Rows rows = ask(connection, "SELECT digest, reply FROM sluice_keys WHERE key = ?", {stored_key(options)});
  if (rows.rows.empty()) return std::nullopt;
  const auto& row = *rows.rows[0].get_if<Value::Array>();
  if (!(row[0] == Value(digest_of(statements)))) throw key_reused(options.key);
  const auto* octets = row[1].get_if<Bytes>();
  auto reply = thaw(octets ? octets->octets : std::string());
  if (!reply) throw Fault(Fault::Kind::internal, "the reply that is kept under the key " + describe(Value(options.key)).substr(7) + " cannot be read: table sluice_keys was changed by others");
  return reply;
}

void keep_reply(Connection& connection, const Options& options, const std::vector<Statement>& statements, const std::vector<Rows>& rows) {
  ask(connection, "INSERT INTO sluice_keys(key, digest, reply) VALUES (?, ?, ?)", {stored_key(options), digest_of(statements), Bytes{freeze(rows)}});
  // Replies are kept for a day; now and then the older ones go.
  static std::atomic<unsigned> kept{0};
  if (kept.fetch_add(1, std::memory_order_relaxed) % 4096 == 4095) ask(connection, "DELETE FROM sluice_keys WHERE created < unixepoch() - 86400", {});
}

}  // namespace sluice::sql::sqlite
