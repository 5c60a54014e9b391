#include "handlers/lock/sql/statements.h"

#include <algorithm>

namespace sluice::lock {
namespace {

// What stands in braces in the texts below.
struct Dialect {
  std::string_view now;                // milliseconds on the clock of the leases: one clock for all who use the database
  std::string_view wanted;             // the names of an acquire, as a table w with the column value
  std::string_view among;              // behind a column: that it is one of these
  std::string_view greatest;           // the function that picks the greatest of its arguments
  std::string_view on_lock, on_lease;  // what begins the change of a row that is there already
  std::string_view fresh, fresh_end;   // around a column: the value that was to be inserted
  std::string_view renewed;            // what a renewal changes besides
};

constexpr std::string_view kAmong = "IN (SELECT w.value FROM {wanted})";

std::string filled(std::string_view text, const Dialect& dialect);

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) text.replace(at, what.size(), by);
  return text;
}

// An acquire first drops the leases of its names that have ended; after that each row is a holder in the way.
constexpr std::string_view kPrune = "DELETE FROM sluice_leases WHERE name {among} AND expires <= {now}";

// Is one of the names neither held by the owner already, nor free for one more holder of this mode?
constexpr std::string_view kBlocked = R"(EXISTS (SELECT 1 FROM {wanted} WHERE
  NOT EXISTS (SELECT 1 FROM sluice_leases m WHERE m.name = w.value AND m.owner = :owner AND m.slots = :slots)
  AND (:reentry = 1
    OR EXISTS (SELECT 1 FROM sluice_leases o WHERE o.name = w.value AND (o.slots <> :slots OR o.owner = :owner))
    OR (SELECT count(*) FROM sluice_leases o WHERE o.name = w.value) >= :slots
    OR (:slots = 2147483647 AND EXISTS (SELECT 1 FROM sluice_locks k WHERE k.name = w.value AND k.wanted_until > {now} AND k.wanted_by <> :owner)))))";

constexpr std::string_view kTokenAgain = R"({on_lock} token = {greatest}(sluice_locks.token + 1, {new}token{end}), touched = {new}touched{end},
  wanted_until = CASE WHEN sluice_locks.wanted_by = :owner THEN 0 ELSE sluice_locks.wanted_until END)";

constexpr std::string_view kLeaseAgain = R"({on_lease} count = sluice_leases.count + CASE WHEN sluice_leases.nonce = {new}nonce{end} THEN 0 ELSE 1 END,
  nonce = {new}nonce{end}, expires = {greatest}(sluice_leases.expires, {new}expires{end}), ttl = {new}ttl{end})";

// A token for each name that the owner does not hold yet: above the last one, above every forgotten one, within the epoch.
constexpr std::string_view kToken = R"(INSERT INTO sluice_locks(name, token, touched, wanted_until, wanted_by)
SELECT w.value, {greatest}((SELECT floor FROM sluice_lock_meta), :epoch) + 1, {now}, 0, '' FROM {wanted}
WHERE NOT {blocked} AND NOT EXISTS (SELECT 1 FROM sluice_leases m WHERE m.name = w.value AND m.owner = :owner)
{token_again})";

constexpr std::string_view kLease = R"(INSERT INTO sluice_leases(name, owner, slots, token, count, nonce, granted, expires, ttl)
SELECT k.name, :owner, :slots, k.token, 1, :nonce, {now}, {now} + :ttl, :ttl FROM {wanted} JOIN sluice_locks k ON k.name = w.value
WHERE NOT {blocked}
{lease_again})";

constexpr std::string_view kIntent = R"(UPDATE sluice_locks SET wanted_until = {now} + :intent, wanted_by = :owner
WHERE name {among}
  AND NOT EXISTS (SELECT 1 FROM sluice_leases m WHERE m.name = sluice_locks.name AND m.owner = :owner)
  AND EXISTS (SELECT 1 FROM sluice_leases o WHERE o.name = sluice_locks.name AND o.slots = 2147483647))";

#define HOLDER "l.name, l.owner, l.token, l.slots, l.count, l.expires - {now}, {now} - l.granted"

// The owner's own first, then who is in the way, the one whose lease ends first before the others.
constexpr std::string_view kAcquired = "SELECT " HOLDER R"(, l.nonce FROM sluice_leases l WHERE l.name {among}
ORDER BY CASE WHEN l.owner = :owner THEN 0 ELSE 1 END, CASE WHEN l.slots = 2147483647 AND l.slots = :slots THEN 1 ELSE 0 END, l.expires LIMIT 128)";

// The last three for one name, as SQLite does them without temporary B-trees, each of which has a page cache of its own: they took five
// times as long as all the rest. An INSERT ... SELECT from the very table that it changes makes one, and ORDER BY with a LIMIT does. Here a
// name that is not to be had becomes NULL, which OR IGNORE passes over; and the columns beside min() are those of its row.
constexpr std::string_view kTokenOfOne = R"(INSERT OR IGNORE INTO sluice_locks(name, token, touched, wanted_until, wanted_by)
VALUES (CASE WHEN NOT {blocked} AND NOT EXISTS (SELECT 1 FROM sluice_leases m WHERE m.name = :names AND m.owner = :owner) THEN :names END,
  {greatest}((SELECT floor FROM sluice_lock_meta), :epoch) + 1, {now}, 0, '')
{token_again})";
constexpr std::string_view kLeaseOfOne = R"(INSERT OR IGNORE INTO sluice_leases(name, owner, slots, token, count, nonce, granted, expires, ttl)
VALUES (CASE WHEN NOT {blocked} THEN :names END, :owner, :slots, (SELECT token FROM sluice_locks WHERE name = :names), 1, :nonce, {now}, {now} + :ttl, :ttl)
{lease_again})";

constexpr std::string_view kAcquiredOfOne = "SELECT " HOLDER R"(, l.nonce FROM sluice_leases l WHERE l.name = :names AND l.owner = :owner
UNION ALL SELECT )" HOLDER R"(, l.nonce FROM (SELECT *, min((slots = 2147483647 AND slots = :slots) * 1000000000000000 + expires)
  FROM sluice_leases WHERE name = :names AND owner <> :owner) l WHERE l.name IS NOT NULL)";

constexpr std::string_view kMine = "name = :name AND owner = :owner AND token = :token";
constexpr std::string_view kAfter = R"(SELECT coalesce((SELECT count FROM sluice_leases WHERE {mine} AND expires > {now}), 0),
coalesce((SELECT token FROM sluice_locks WHERE name = :name), 0))";

std::string filled(std::string_view text, const Dialect& dialect) {
  std::string out = replaced(std::string(text), "{blocked}", kBlocked);
  out = replaced(std::move(out), "{mine}", kMine);
  out = replaced(std::move(out), "{token_again}", kTokenAgain);
  out = replaced(std::move(out), "{lease_again}", kLeaseAgain);
  const std::pair<std::string_view, std::string_view> words[] = {
      {"{among}", dialect.among}, {"{now}", dialect.now},           {"{wanted}", dialect.wanted}, {"{greatest}", dialect.greatest}, {"{on_lock}", dialect.on_lock},
      {"{on_lease}", dialect.on_lease}, {"{new}", dialect.fresh},     {"{end}", dialect.fresh_end},     {"{renewed}", dialect.renewed}};
  for (const auto& [what, by] : words) out = replaced(std::move(out), what, by);
  return out;
}

}  // namespace

Template::Template(std::string text) : text_(std::move(text)) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  for (std::size_t at = text_.find(':'); at != text_.npos; at = text_.find(':', at + 1)) {
    std::size_t end = at + 1;
    while (end < text_.size() && letter(text_[end])) ++end;
    std::string name = text_.substr(at + 1, end - at - 1);
    if (!name.empty() && std::ranges::find(names_, name) == names_.end()) names_.push_back(std::move(name));
  }
}

sql::Statement Template::with(const Value::Struct& all) const {
  if (names_.empty()) return {text_, {}};
  Value::Struct own;
  own.reserve(names_.size());
  for (const auto& [name, value] : all)
    if (std::ranges::find(names_, name) != names_.end()) own.emplace_back(name, value);
  return {text_, std::move(own)};
}

namespace {

constexpr std::string_view kOnLock = "ON CONFLICT(name) DO UPDATE SET", kOnLease = "ON CONFLICT(name, owner) DO UPDATE SET";
constexpr std::string_view kOnDuplicate = "ON DUPLICATE KEY UPDATE";

// What the databases have in common. `lock` goes before whatever looks first and changes then; `setup` is each one's own.
Statements common(const Dialect& dialect, std::vector<Template> setup, const std::vector<Template>& lock_all,
                  const std::vector<Template>& lock_one) {
  auto t = [&](std::string_view text) { return Template(filled(text, dialect)); };
  auto after = [](const std::vector<Template>& first, std::vector<Template> then) {
    then.insert(then.begin(), first.begin(), first.end());
    return then;
  };
  return {
      .setup = std::move(setup),
      .acquire = after(lock_all, {t(kPrune), t(kToken), t(kLease), t(kAcquired)}),
      .intent = t(kIntent),
      .undo = after(
          lock_all,
          {t("DELETE FROM sluice_leases WHERE name {among} AND owner = :owner AND nonce = :nonce AND count = 1"),
           t("UPDATE sluice_leases SET count = count - 1, nonce = '' WHERE name {among} AND owner = :owner AND "
             "nonce = :nonce"),
           t("UPDATE sluice_locks SET wanted_until = 0 WHERE name {among} AND wanted_by = :owner AND "
             "wanted_until > 0")}),
      .release =
          after(lock_one, {t("DELETE FROM sluice_leases WHERE {mine} AND count = 1 AND expires > {now}"),
                           t("UPDATE sluice_leases SET count = count - 1 WHERE {mine} AND count > 1 AND expires > {now}"), t(kAfter)}),
      .renew = after(lock_one, {t("UPDATE sluice_leases SET expires = {now} + :ttl, ttl = :ttl{renewed} WHERE {mine} AND expires > {now}"),
                                t(kAfter)}),
      .force = {t("SELECT " HOLDER " FROM sluice_leases l WHERE l.name = :name AND l.expires > {now} ORDER BY l.expires LIMIT :most"),
                t("INSERT INTO sluice_locks(name, token, touched, wanted_until, wanted_by) VALUES (:name, {greatest}((SELECT floor FROM "
                  "sluice_lock_meta), :epoch) + 1, {now}, 0, '') "
                  "{on_lock} token = {greatest}(sluice_locks.token + 1, {new}token{end}), touched = {new}touched{end}"),
                t("DELETE FROM sluice_leases WHERE name = :name"), t("SELECT token FROM sluice_locks WHERE name = :name")},
      .inspect = t("SELECT k.name, k.token, " HOLDER " FROM sluice_locks k LEFT JOIN sluice_leases l ON l.name = k.name AND l.expires > "
                                                     "{now} WHERE k.name = :name ORDER BY l.expires LIMIT :most"),
      .list = t("SELECT k.name, k.token, " HOLDER
                " FROM sluice_locks k JOIN sluice_leases l ON l.name = k.name AND l.expires > {now} WHERE k.name >= :from AND k.name < :to "
                "ORDER BY k.name, l.expires LIMIT :most"),
      // The tokens of names that nobody asks for any more live on as one floor below all new ones.
      .purge = {t("UPDATE sluice_lock_meta SET floor = {greatest}(floor, coalesce((SELECT max(token) FROM sluice_locks WHERE touched < "
                  "{now} - :age), 0))"),
                t("DELETE FROM sluice_locks WHERE touched < {now} - :age AND NOT EXISTS (SELECT 1 FROM sluice_leases l WHERE l.name = "
                  "sluice_locks.name)")},
      .mark = {},
  };
}

}  // namespace

Statements sqlite_statements(Names names) {
  const Dialect dialect{"sluice_boottime_ms()",
                        names == Names::one ? "(SELECT :names AS value) AS w" : "json_each(:names) AS w",
                        names == Names::one ? "= :names" : kAmong,
                        "max",
                        kOnLock,
                        kOnLease,
                        "excluded.",
                        "",
                        ""};
  auto t = [&](std::string_view text) { return Template(filled(text, dialect)); };
  Statements statements = common(dialect,
                {
                    t("CREATE TABLE IF NOT EXISTS sluice_lock_meta(id INTEGER PRIMARY KEY, floor INTEGER NOT NULL, boot TEXT NOT NULL)"),
                    t("CREATE TABLE IF NOT EXISTS sluice_locks(name TEXT PRIMARY KEY, token INTEGER NOT NULL, touched INTEGER NOT NULL, "
                      "wanted_until INTEGER NOT NULL, "
                      "wanted_by TEXT NOT NULL) WITHOUT ROWID"),
                    t("CREATE TABLE IF NOT EXISTS sluice_leases(name TEXT NOT NULL, owner TEXT NOT NULL, slots INTEGER NOT NULL, token "
                      "INTEGER NOT NULL, count INTEGER NOT NULL, "
                      "nonce TEXT NOT NULL, granted INTEGER NOT NULL, expires INTEGER NOT NULL, ttl INTEGER NOT NULL, PRIMARY KEY(name, "
                      "owner)) WITHOUT ROWID"),
                    t("INSERT INTO sluice_lock_meta VALUES (1, 0, :boot) ON CONFLICT(id) DO NOTHING"),
                    // After a reboot the clock began anew: whoever held a lease may still believe in it for as long as it was given.
                    t("UPDATE sluice_leases SET expires = {now} + ttl, granted = {now} WHERE (SELECT boot FROM sluice_lock_meta) <> :boot"),
                    t("UPDATE sluice_locks SET touched = {now}, wanted_until = 0 WHERE (SELECT boot FROM sluice_lock_meta) <> :boot"),
                    t("UPDATE sluice_lock_meta SET boot = :boot WHERE boot <> :boot"),
                },
                {}, {});  // one writer at a time is lock enough
  if (names == Names::one) statements.acquire = {t(kPrune), t(kTokenOfOne), t(kLeaseOfOne), t(kAcquiredOfOne)};
  return statements;
}

Statements postgresql_statements(Names names) {
  const Dialect dialect{
      "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
      names == Names::one ? "(SELECT CAST(:names AS text) AS value) AS w" : "json_array_elements_text(CAST(:names AS json)) AS w(value)",
      kAmong,
      "greatest",
      kOnLock,
      kOnLease,
      "excluded.",
      "",
      ""};
  auto t = [&](std::string_view text) { return Template(filled(text, dialect)); };
  Statements statements = common(dialect,
                {
                    // Two gateways that make the tables at once would fail each other.
                    t("SELECT pg_advisory_xact_lock(1936487785)"),
                    t("CREATE TABLE IF NOT EXISTS sluice_lock_meta(id integer PRIMARY KEY, floor bigint NOT NULL)"),
                    t("CREATE TABLE IF NOT EXISTS sluice_locks(name text COLLATE \"C\" PRIMARY KEY, token bigint NOT NULL, touched bigint "
                      "NOT NULL, wanted_until bigint NOT NULL, "
                      "wanted_by text NOT NULL) WITH (fillfactor = 50)"),
                    t("CREATE TABLE IF NOT EXISTS sluice_leases(name text COLLATE \"C\" NOT NULL, owner text COLLATE \"C\" NOT NULL, slots "
                      "bigint NOT NULL, token bigint NOT NULL, "
                      "count bigint NOT NULL, nonce text NOT NULL, granted bigint NOT NULL, expires bigint NOT NULL, ttl bigint NOT NULL, "
                      "PRIMARY KEY (name, owner)) WITH (fillfactor = 50)"),
                    t("CREATE TABLE IF NOT EXISTS sluice_lock_watches(name text COLLATE \"C\" PRIMARY KEY, watched_until bigint NOT NULL)"),
                    t("INSERT INTO sluice_lock_meta VALUES (1, 0) ON CONFLICT (id) DO NOTHING"),
                },
                // The row of a name is its mutex: each statement behind sees what was committed before it was got.
                {t("INSERT INTO sluice_locks(name, token, touched, wanted_until, wanted_by) SELECT w.value, {greatest}((SELECT floor FROM "
                   "sluice_lock_meta), :epoch), {now}, 0, '' "
                   "FROM {wanted} ORDER BY w.value COLLATE \"C\" ON CONFLICT(name) DO NOTHING"),
                 t("SELECT 1 FROM sluice_locks WHERE name {among} ORDER BY name FOR UPDATE")},
                {t("SELECT 1 FROM sluice_locks WHERE name = :name FOR UPDATE")});
  // A commit that notifies waits for all others that do: only who is waited for is told of.
  const std::string ring = "SELECT pg_notify('" + std::string(kChannel) + "', v.name) FROM sluice_lock_watches v WHERE v.watched_until > {now} AND v.name ";
  statements.release.insert(statements.release.end() - 1, t(ring + "= :name"));
  statements.force.insert(statements.force.end() - 1, t(ring + "= :name"));
  statements.undo.push_back(t(ring + "{among}"));
  statements.mark = t("INSERT INTO sluice_lock_watches(name, watched_until) VALUES (:name, {now} + :span) "
                      "ON CONFLICT (name) DO UPDATE SET watched_until = greatest(sluice_lock_watches.watched_until, excluded.watched_until)");
  statements.purge.push_back(t("DELETE FROM sluice_lock_watches WHERE watched_until < {now} - :age"));
  return statements;
}

// Each statement must see what was committed before it: the transactions are READ COMMITTED, which also spares them the locks on gaps
// that would make strangers' names deadlock.
Statements mariadb_statements(Names names) {
  // Names are compared octet by octet: without that collation "a", "A" and "a " would be one.
  constexpr std::string_view kText = "VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL";
  const Dialect dialect{
      "CAST(unix_timestamp(sysdate(3)) * 1000 AS SIGNED)",
      names == Names::one
          ? "(SELECT CAST(:names AS CHAR(200) CHARACTER SET utf8mb4) COLLATE utf8mb4_nopad_bin AS value) AS w"
          : "JSON_TABLE(:names, '$[*]' COLUMNS(value VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PATH '$')) AS w",
      kAmong, "greatest", kOnDuplicate, kOnDuplicate, "VALUES(", ")",
      // A row that stays as it is, a renewal within a millisecond, would not count as affected.
      ", renewals = renewals + 1"};
  auto t = [&](std::string_view text) { return Template(replaced(filled(text, dialect), "{text}", kText)); };
  return common(
      dialect,
      {
          t("CREATE TABLE IF NOT EXISTS sluice_lock_meta(id INTEGER PRIMARY KEY, floor BIGINT NOT NULL) ENGINE=InnoDB"),
          t("CREATE TABLE IF NOT EXISTS sluice_locks(name {text} PRIMARY KEY, token BIGINT NOT NULL, touched BIGINT NOT NULL, wanted_until "
            "BIGINT NOT NULL, "
            "wanted_by {text}) ENGINE=InnoDB"),
          t("CREATE TABLE IF NOT EXISTS sluice_leases(name {text}, owner {text}, slots BIGINT NOT NULL, token BIGINT NOT NULL, count "
            "BIGINT NOT NULL, nonce {text}, "
            "granted BIGINT NOT NULL, expires BIGINT NOT NULL, ttl BIGINT NOT NULL, renewals BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (name, "
            "owner)) ENGINE=InnoDB"),
          t("INSERT INTO sluice_lock_meta VALUES (1, 0) ON DUPLICATE KEY UPDATE id = id"),
      },
      // The row of a name is its mutex, as above. INSERT IGNORE would share the row first, and two who want more then would deadlock.
      {t("INSERT INTO sluice_locks(name, token, touched, wanted_until, wanted_by) SELECT w.value, {greatest}((SELECT floor FROM "
         "sluice_lock_meta), :epoch), {now}, 0, '' "
         "FROM {wanted} ORDER BY w.value ON DUPLICATE KEY UPDATE name = sluice_locks.name")},
      {t("SELECT 1 FROM sluice_locks WHERE name = :name FOR UPDATE")});
}

}  // namespace sluice::lock
