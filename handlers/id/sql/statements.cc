#include "handlers/id/sql/statements.h"

#include <utility>

#include "rpc/fault.h"

namespace sluice::id {
namespace {

// What stands in braces in the texts below.
struct Dialect {
  std::string_view now;         // milliseconds on one clock for all who use the database
  std::string_view greatest;    // the function that picks the greatest of its arguments
  std::string_view insert;      // an insert that leaves an old row as it is: its beginning ...
  std::string_view or_nothing;  // ... and its end
  std::string_view upsert;      // the beginning of what happens to an old gateway's row
  std::string_view excluded;    // the mark that was to be inserted
  std::string_view text;        // the type of a key
  std::string_view changes;     // one field more: how often the database changed, if it counts that
  std::string_view floor;       // one mark more, below which no space begins
};

constexpr Dialect kSqlite{"sluice_boottime_ms()", "max", "INSERT", "ON CONFLICT DO NOTHING", "ON CONFLICT(space, gateway) DO UPDATE SET", "excluded.mark", "TEXT", ", (SELECT changes FROM sluice_id_past)", ", (SELECT floor FROM sluice_id_past)"};
constexpr Dialect kPostgres{
    "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)", "greatest", "INSERT", "ON CONFLICT DO NOTHING", "ON CONFLICT(space, gateway) DO UPDATE SET", "excluded.mark", "TEXT", "", ""};
constexpr Dialect kMariadb{
    "CAST(unix_timestamp(sysdate(3)) * 1000 AS SIGNED)", "greatest", "INSERT IGNORE", "", "ON DUPLICATE KEY UPDATE", "VALUES(mark)", "VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "", ""};

// Claims of a space come one after another: all of them change this row first. One with another layout gets no worker.
constexpr std::string_view kSpace = "{insert} INTO sluice_id_spaces(space, layout, claims) VALUES (:space, :layout, 0) {or_nothing}";
constexpr std::string_view kTurn = "UPDATE sluice_id_spaces SET claims = claims + 1 WHERE space = :space";
constexpr std::string_view kAgreed = "EXISTS (SELECT 1 FROM sluice_id_spaces s WHERE s.space = :space AND s.layout = :layout)";

// Worker ids come into being from 0 on, when none is free.
constexpr std::string_view kGrow = R"({insert} INTO sluice_id_workers(space, worker, gateway, instance, epoch, mark, expires)
SELECT :space, t.worker, '', '', 0, 0, 0 FROM (SELECT count(*) AS worker, count(CASE WHEN expires <= {now} THEN 1 END) AS unused FROM sluice_id_workers WHERE space = :space) t
WHERE t.worker < :workers AND t.unused = 0 AND {agreed} {or_nothing})";

constexpr std::string_view kClaim = R"(UPDATE sluice_id_workers SET gateway = :gateway, instance = :instance, epoch = epoch + 1, expires = {now} + :lease,
  mark = {greatest}(mark, :floor, coalesce((SELECT g.mark FROM sluice_id_gateways g WHERE g.space = :space AND g.gateway = :gateway), 0){floor}) + :span
WHERE space = :space AND worker = (SELECT t.worker FROM (SELECT min(w.worker) AS worker FROM sluice_id_workers w WHERE w.space = :space AND w.expires <= {now} AND w.worker < :workers) t)
  AND {agreed})";

constexpr std::string_view kClaimed = R"(SELECT s.layout, w.worker, w.epoch, w.mark,
  (SELECT min(o.expires) FROM sluice_id_workers o WHERE o.space = :space AND o.worker < :workers) - {now}{changes}
FROM sluice_id_spaces s LEFT JOIN sluice_id_workers w ON w.space = s.space AND w.instance = :instance WHERE s.space = :space)";

// The gateway's own mark goes up with that of its worker, so that its next start is above whatever worker id it gets.
constexpr std::string_view kGateway = R"(INSERT INTO sluice_id_gateways(space, gateway, mark)
SELECT w.space, w.gateway, w.mark FROM sluice_id_workers w WHERE w.space = :space AND w.instance = :instance {upsert} mark = {greatest}(sluice_id_gateways.mark, {excluded}))";

constexpr std::string_view kMine = "space = :space AND worker = :worker AND epoch = :epoch AND instance = :instance";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) text.replace(at, what.size(), by);
  return text;
}

std::string filled(std::string_view text, const Dialect& dialect) {
  std::string out(text);
  const std::pair<std::string_view, std::string_view> words[] = {{"{agreed}", kAgreed},      {"{mine}", kMine},
                                                                 {"{now}", dialect.now},     {"{greatest}", dialect.greatest},
                                                                 {"{insert}", dialect.insert}, {"{or_nothing}", dialect.or_nothing},
                                                                 {"{upsert}", dialect.upsert}, {"{excluded}", dialect.excluded},
                                                                 {"{text}", dialect.text},     {"{changes}", dialect.changes}, {"{floor}", dialect.floor}};
  for (const auto& [what, by] : words) out = replaced(std::move(out), what, by);
  // A text that was filled up to its end has a blank there.
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

Statements statements_in(const Dialect& dialect) {
  auto t = [&](std::string_view text) { return filled(text, dialect); };
  return {
      .setup =
          {
              t("CREATE TABLE IF NOT EXISTS sluice_id_meta(id INTEGER PRIMARY KEY, boot {text} NOT NULL, identity {text} NOT NULL)"),
              t("CREATE TABLE IF NOT EXISTS sluice_id_spaces(space {text} PRIMARY KEY, layout {text} NOT NULL, claims BIGINT NOT NULL)"),
              t("CREATE TABLE IF NOT EXISTS sluice_id_workers(space {text} NOT NULL, worker BIGINT NOT NULL, gateway {text} NOT NULL, instance {text} NOT NULL, "
                "epoch BIGINT NOT NULL, mark BIGINT NOT NULL, expires BIGINT NOT NULL, PRIMARY KEY(space, worker))"),
              t("CREATE TABLE IF NOT EXISTS sluice_id_gateways(space {text} NOT NULL, gateway {text} NOT NULL, mark BIGINT NOT NULL, PRIMARY KEY(space, gateway))"),
              t("CREATE TABLE IF NOT EXISTS sluice_id_tags(name {text} PRIMARY KEY, next BIGINT NOT NULL, step BIGINT NOT NULL, delta BIGINT NOT NULL)"),
              t("{insert} INTO sluice_id_meta(id, boot, identity) VALUES (1, :boot, :identity) {or_nothing}"),
              // A clock that began anew at a reboot tells nothing about older leases; whoever held them is gone with it.
              t("UPDATE sluice_id_workers SET expires = 0 WHERE (SELECT m.boot FROM sluice_id_meta m WHERE m.id = 1) <> :boot"),
              t("UPDATE sluice_id_meta SET boot = :boot WHERE id = 1"),
              t("SELECT identity{changes} FROM sluice_id_meta WHERE id = 1"),
          },
      .adopt = {t("UPDATE sluice_id_meta SET identity = :identity WHERE id = 1")},
      .claim = {t(kSpace), t(kTurn), t(kGrow), t(kClaim), t(kGateway), t(kClaimed)},
      .extend = {t("UPDATE sluice_id_workers SET mark = {greatest}(mark, :mark), expires = {now} + :lease WHERE {mine}"), t(kGateway), t("SELECT count(*){changes} FROM sluice_id_workers WHERE {mine}")},
      .release = {t("UPDATE sluice_id_gateways SET mark = :mark WHERE space = :space AND gateway = :gateway AND mark = (SELECT w.mark FROM sluice_id_workers w WHERE {mine})"),
                  t("UPDATE sluice_id_workers SET mark = :mark, expires = 0 WHERE {mine} AND mark >= :mark"), t("SELECT count(*){changes} FROM sluice_id_workers WHERE {mine}")},
      .create = {t("{insert} INTO sluice_id_tags(name, next, step, delta) VALUES (:tag, :first, :step, :delta) {or_nothing}"), t("SELECT step, delta, next{changes} FROM sluice_id_tags WHERE name = :tag")},
      .reserve = {t("UPDATE sluice_id_tags SET next = next + delta * CASE WHEN :count = 0 THEN step ELSE :count END WHERE name = :tag "
                    "AND next <= 9223372036854775807 - delta * CASE WHEN :count = 0 THEN step ELSE :count END"),
                  t("SELECT next, step, delta{changes} FROM sluice_id_tags WHERE name = :tag")},
      .make_sequence = {},
      .sequence = {},
  };
}

}  // namespace

namespace {

// One file that any copy may be written over: it counts its changes, and a floor can be put below all that it forgot.
void count_changes(Statements& statements) {
  constexpr const char* kCount = "UPDATE sluice_id_past SET changes = changes + 1";
  auto& setup = statements.setup;
  setup.insert(setup.end() - 1, {"CREATE TABLE IF NOT EXISTS sluice_id_past(id INTEGER PRIMARY KEY, changes BIGINT NOT NULL, floor BIGINT NOT NULL)",
                                 "INSERT INTO sluice_id_past(id, changes, floor) VALUES (1, 0, 0) ON CONFLICT DO NOTHING"});
  statements.adopt.emplace_back("UPDATE sluice_id_past SET floor = max(floor, :mark), changes = :changes WHERE changes < :changes");
  for (auto* each : {&statements.claim, &statements.extend, &statements.release, &statements.create, &statements.reserve}) each->insert(each->end() - 1, kCount);
  statements.sequence.push_back(std::string(kCount) + " RETURNING changes");
}

}  // namespace

Statements statements_of(std::string_view dialect) {
  if (dialect == "sqlite") {
    Statements statements = statements_in(kSqlite);
    statements.make_sequence = "CREATE TABLE IF NOT EXISTS {name}(id INTEGER PRIMARY KEY AUTOINCREMENT)";
    statements.sequence = {"INSERT INTO {name} DEFAULT VALUES", "DELETE FROM {name}"};
    statements.sequence_by_insert = true;
    count_changes(statements);
    return statements;
  }
  if (dialect == "postgresql" || dialect == "mariadb") {
    Statements statements = statements_in(dialect == "mariadb" ? kMariadb : kPostgres);
    statements.make_sequence = "CREATE SEQUENCE IF NOT EXISTS {name}";
    statements.sequence = {dialect == "mariadb" ? "SELECT nextval({name})" : "SELECT nextval('{name}')"};
    return statements;
  }
  throw Fault(Fault::Kind::bad_arguments, "ids cannot be kept in a database of the dialect '" + std::string(dialect) + "'; they can in sqlite, postgresql and mariadb");
}

}  // namespace sluice::id
