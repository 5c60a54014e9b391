#include "gateway/config/schema.h"

#include <algorithm>
#include <array>

#include "gateway/config/mask.h"

namespace sluice::config {
namespace {

// One row: KEY("section", "name", least, most, member, "help"). The member's own default is the key's default.
template <class T>
Setting wrap(const T& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>)
    return value;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<std::int64_t>(value);
  else
    return static_cast<std::int64_t>(value.count());  // milliseconds
}

template <class T>
void unwrap(T& to, const Setting& from) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::string>>)
    to = std::get<T>(from);
  else
    to = T(std::get<std::int64_t>(from));
}

#define KEY(section, name, least, most, member, help)                      \
  Key {                                                                    \
    section, name, least, most, help, [](const Settings& s) -> Setting { return wrap(s.member); }, \
        [](Settings& s, const Setting& value) { unwrap(s.member, value); } \
  }

constexpr std::int64_t kMost = 1'000'000'000'000;
constexpr std::int64_t kDay = 86'400'000;

const std::array kKeys{
    KEY("gateway", "threads", 0, 256, threads, "event loops; 0: a core less than there are, at least one"),
    KEY("gateway", "workers", 1, 256, workers, "threads for methods that block"),
    KEY("gateway", "workers_waiting", 1, kMost, workers_waiting, "calls that wait for one of them; more are shed as overloaded"),
    KEY("gateway", "drain_ms", 0, kDay, drain_ms, "how long running calls may take to end after SIGTERM"),
    KEY("gateway", "ready_ms", 0, kDay, ready_ms, "after SIGTERM: how long /ready says no before the listeners close, for load balancers"),
    KEY("gateway", "probe", 0, 0, probe, "serve the probe and validator1 methods"),
    KEY("gateway", "listen_without_authentication", 0, 0, listen_without_authentication,
        "listen on addresses beyond loopback although nobody is asked who he is"),
    KEY("access", "users", 0, 0, access.users, "the file that `sluice user` writes; empty: nobody is asked who he is, and everybody may call everything"),
    KEY("access", "anonymous", 0, 0, access.anonymous, "roles of callers who show nothing; none: they are refused"),
    KEY("access", "audit", 0, 0, access.audit, "a file for a line of JSON for each write, denial, failed login and call of an unknown name; - for standard error; empty: none"),
    KEY("access", "login_cached_ms", 0, kDay, access.login_cached_ms, "a password that was right is not checked again for so long"),
    KEY("access", "logins_waiting", 1, 10'000, access.logins_waiting, "passwords that wait to be checked; more are refused for a moment"),
    KEY("tls", "certificate", 0, 0, tls.certificate, "a file of the certificate for https:// and mtls:// listeners, and those that lead to its root, in PEM"),
    KEY("tls", "key", 0, 0, tls.key, "a file of its key, in PEM"),
    KEY("tls", "client_ca", 0, 0, tls.client_ca, "a file of the certificates that vouch for clients', whose common names are in access.users; empty: clients are not asked"),
    KEY("xmlrpc", "listen", 0, 0, xmlrpc_listen, "HOST:PORT, https://HOST:PORT or mtls://HOST:PORT; port 0: any free one; an empty array: no XML-RPC"),
    KEY("zerorpc", "listen", 0, 0, zerorpc_listen, "tcp://, ipc:// and curve+tcp:// endpoints; an empty array: no zerorpc"),
    KEY("zerorpc", "curve_keys", 0, 0, curve_keys, "the file of `sluice keygen` for curve+tcp:// endpoints"),
    KEY("zerorpc", "name", 0, 0, zerorpc.name, "what _zerorpc_name answers"),
    KEY("zerorpc", "heartbeat_ms", 0, kDay, zerorpc.heartbeat_ms, "between two heartbeats of a channel; must be that of the clients; 0: none"),
    KEY("sqlite", "file", 0, 0, sqlite.file, "the database file; created when it is not there"),
    KEY("sqlite", "readers", 1, 64, sqlite.readers, "threads with read-only handles"),
    KEY("sqlite", "reads_waiting", 1, kMost, sqlite.reads_waiting, "reads that may wait; more are shed as overloaded"),
    KEY("sqlite", "writes_waiting", 1, kMost, sqlite.writer.waiting, "writes that may wait; more are shed as overloaded"),
    KEY("sqlite", "batch", 1, 100'000, sqlite.writer.batch, "writes in one commit"),
    KEY("sqlite", "batch_ms", 1, 10'000, sqlite.writer.batch_time, "no further write is taken into a commit after that"),
    KEY("sql", "default", 0, 0, default_database, "the database of a call that names none; 'main' is [sqlite] unless there is a [database.main]"),
    KEY("sql", "statements", 0, 0, statements, "a folder of .sql files with named statements; empty: none"),
    KEY("sql", "answer_rows", 1, kMost, each.answer.rows, "rows in one answer"),
    KEY("sql", "answer_bytes", 1, kMost, each.answer.bytes, "bytes of the values in one answer"),
    KEY("sql", "transaction_ms", 1, kDay, each.longest_transaction, "the longest that a transaction may ask for"),
    KEY("sql", "cursors", 1, 10'000, sql.cursors, "open cursors of sql.open"),
    KEY("sql", "streams", 1, 10'000, sqlite.cursors, "connections of cursors and streams together"),
    KEY("sql", "cursor_idle_ms", 1, kDay, sql.cursor_idle_ms, "then an unused cursor is closed"),
    KEY("sql", "fetch_rows", 1, kMost, sql.fetch_rows, "rows in one sql.fetch"),
    KEY("lock", "backend", 0, 0, lock_backend, "where locks are kept: sqlite (a file of their own), database:NAME, redis://[:PASSWORD@]HOST:PORT[/DATABASE][?password_file=FILE], redlock://HOST:PORT,HOST:PORT,HOST:PORT (with the same options, an odd number of masters) or zookeeper://HOST:PORT,HOST:PORT/ROOT"),
    KEY("lock", "spaces", 0, 0, lock_spaces, "more places, NAME=BACKEND each; a call names one with the option db"),
    KEY("lock", "file", 0, 0, lock_file, "of the backend sqlite; empty: beside the embedded database, with -locks behind its name. What is remembered of Redis stands beside it"),
    KEY("lock", "epoch", 0, 32'767, lock_epoch, "the upper part of fencing tokens; raise it when a store was replaced by one that knows fewer grants"),
    KEY("lock", "ttl_ms", 1, kDay, lock.ttl_ms, "of a lease, and of a session, that names none"),
    KEY("lock", "longest_ttl_ms", 1, kMost, lock.longest_ttl_ms, "the most that a lease or a session may ask for"),
    KEY("lock", "longest_wait_ms", 1, kMost, lock.longest_wait_ms, "the most that wait_ms may be; limits.call_ms ends a call over XML-RPC before"),
    KEY("lock", "waiters", 1, kMost, lock.waiters, "calls that wait for locks; more are shed as overloaded"),
    KEY("lock", "sessions", 1, kMost, lock.sessions, "open sessions"),
    KEY("lock", "session_leases", 1, kMost, lock.session_leases, "locks that one session holds"),
    KEY("lock", "names", 1, 1000, lock.names, "names in one lock.acquire_many"),
    KEY("lock", "listed", 1, kMost, lock.listed, "holders in one answer of lock.list"),
    KEY("lock", "watch_ms", 1, kDay, lock.watch_ms, "how long lock.watch waits for news over XML-RPC; less than limits.call_ms"),
    KEY("id", "backend", 0, 0, id_backend, "where worker ids, tags and sequences are kept: sqlite (a file of their own), database:NAME, redis://[:PASSWORD@]HOST:PORT[/DATABASE][?password_file=FILE], zookeeper://HOST:PORT,HOST:PORT/ROOT, or worker:N (this gateway's own worker id, and no tags)"),
    KEY("id", "redis", 0, 0, id_redis, "the Redis where id.redis counts, redis://... as for id.backend; empty: that of id.backend, if it is one"),
    KEY("id", "file", 0, 0, id_file, "of the backends sqlite and worker:N; empty: beside the embedded database, with -ids or -worker behind its name. What is remembered of it, or of Redis, stands beside it"),
    KEY("id", "accept_copy", 0, 0, id_accept_copy, "use a file that is a copy of another gateway's, which nobody will use again"),
    KEY("id", "spaces", 0, 0, id_spaces, "spaces of ids: NAME, NAME layout=js53 or NAME layout=41/10/12 epoch=2025-01-01; the first is the default"),
    KEY("id", "keys", 0, 0, id_keys, "keys of id.hide, ID=FILE each; the first one hides, all of them reveal"),
    KEY("id", "gateway", 0, 0, id.generator.gateway, "the gateway's name, the same after a restart; empty: the host's"),
    KEY("id", "window_ms", 100, kDay, id.generator.window_ms, "how far ahead of the time a mark is written; one write for each half of it"),
    KEY("id", "lease_ms", 100, kDay, id.generator.lease_ms, "then an idle or dead gateway's worker id may be taken by another"),
    KEY("id", "ahead_ms", 1, 60'000, id.generator.ahead_ms, "how far ids may be ahead of the time before callers wait"),
    KEY("id", "lead_ms", 0, kMost, id.generator.lead_ms, "a worker id that was used further ahead of the clock than that is not taken up"),
    KEY("id", "wait_ms", 1, kDay, id.generator.wait_ms, "the longest that a call waits for an id"),
    KEY("id", "waiting", 1, kMost, id.generator.waiting, "calls that may wait for ids of one space; more are shed as overloaded"),
    KEY("id", "batch", 1, 10'000'000, id.batch, "ids in one call"),
    KEY("id", "tags", 1, kMost, id.tags.tags, "tags with segments in memory"),
    KEY("id", "tag_waiting", 1, kMost, id.tags.waiting, "calls that may wait for one tag; more are shed as overloaded"),
    KEY("id", "tag_wait_ms", 1, kDay, id.tags.wait_ms, "the longest that a call waits for a segment"),
    KEY("limits", "call_ms", 1, kDay, xmlrpc.call_ms, "the longest a call may run; streams over zerorpc have no limit"),
    KEY("limits", "calls_in_flight", 1, kMost, dispatcher.in_flight, "calls that wait, of all callers; more are shed as overloaded"),
    KEY("limits", "queue_ms", 0, kDay, queue_target, "a queue in which calls wait longer than that, and than half of what they take themselves, while it grows, sheds what would wait longer; 0: never"),
    KEY("limits", "multicall", 1, kMost, system.multicall, "calls in one system.multicall"),
    KEY("limits", "gathered_items", 1, kMost, xmlrpc.gathered_items, "items of a stream that is answered as one array"),
    KEY("limits", "answer_bytes", 1024, kMost, xmlrpc.answer_bytes, "of one answer as it goes over the wire, before compression"),
    KEY("limits", "body_bytes", 1024, kMost, xmlrpc.http.limits.body_bytes, "of one request, unzipped; of one zerorpc frame"),
    KEY("limits", "depth", 1, 200, xmlrpc.reader.depth, "arrays and structs within each other"),
    KEY("limits", "values", 1, kMost, xmlrpc.reader.values, "values in one request"),
    KEY("limits", "connections", 1, kMost, xmlrpc.http.limits.connections, "open HTTP connections"),
    KEY("limits", "header_bytes", 256, 1 << 24, xmlrpc.http.limits.header_bytes, "of an HTTP request's line and headers"),
    KEY("limits", "headers", 1, 10'000, xmlrpc.http.limits.headers, "of an HTTP request"),
    KEY("limits", "header_ms", 1, kDay, xmlrpc.http.limits.header_ms, "from a request's first byte to the end of its headers"),
    KEY("limits", "body_ms", 1, kDay, xmlrpc.http.limits.body_ms, "from the end of a request's headers to the end of its body"),
    KEY("limits", "idle_ms", 1, kDay, xmlrpc.http.limits.idle_ms, "then a kept-alive HTTP connection without a request is closed"),
    KEY("limits", "write_ms", 1, kDay, xmlrpc.http.limits.write_ms, "then an HTTP connection that takes nothing of its answer is cut"),
    KEY("limits", "gzip_from_bytes", 0, kMost, xmlrpc.http.limits.gzip_from_bytes, "answers of this size are compressed for callers that accept it"),
    KEY("limits", "open_calls", 1, kMost, zerorpc.open_calls, "zerorpc calls that wait or stream, of all callers"),
    KEY("limits", "caller_open_calls", 1, kMost, zerorpc.caller_open_calls, "zerorpc calls that wait or stream, of one caller"),
};
#undef KEY

#define KEY(name, least, most, member, help)                               \
  DatabaseKey {                                                            \
    name, least, most, help, [](const Database& d) -> Setting { return wrap(d.member); }, \
        [](Database& d, const Setting& value) { unwrap(d.member, value); } \
  }

const std::array kDatabaseKeys{
    KEY("url", 0, 0, url, "sqlite:FILE, postgresql://USER@HOST:PORT,HOST:PORT/NAME or mariadb://...: all nodes; which one is primary shows by itself"),
    KEY("split", 0, 0, split, "reads that may leave the primary: on, off, a percentage such as 25%, or shadow"),
    KEY("weights", 0, 0, weights, "how many of the reads a node takes beside the others, HOST:PORT=NUMBER each; 1 where none is given, and 0 takes none"),
    KEY("secret_file", 0, 0, secret_file, "a file whose content seals causality tokens; empty: one that the database itself keeps (SQLite: a file beside it, with -secret behind its name)"),
    KEY("max_lag_ms", 0, kDay, cluster.max_lag_ms, "a replica further behind gets no reads; 0: any lag will do"),
    KEY("freshness_ms", 1, kDay, cluster.freshness, "a read waits at most so long for a replica to catch up, then it goes to the primary"),
    KEY("failover_ms", 1, kDay, cluster.failover, "a call waits at most so long for a primary to appear"),
    KEY("statement_ms", 1, kDay, cluster.statement, "a call without a timeout_ms of its own ends then"),
    KEY("silent_ms", 50, kDay, cluster.node.health.silent, "a node that answers no probe for so long hangs, and is left"),
    KEY("connect_ms", 1, kDay, cluster.node.connect, "the longest that a connection may take to open"),
    KEY("read_links", 1, 1000, cluster.node.read_links, "connections to each node that reads share"),
    KEY("write_links", 1, 1000, cluster.node.write_links, "connections to the primary that writes share"),
    KEY("leases", 1, 10'000, cluster.node.leases, "transactions and cursors at once, a connection each"),
    KEY("waiting", 1, kMost, cluster.waiting, "calls under way at once; more are shed as overloaded"),
    KEY("keys_s", 0, kMost, cluster.keys_kept_s, "the reply to a call with the option 'key' is kept so many seconds; 0: for ever"),
    KEY("sessions", 1, kMost, cluster.sessions, "names of the option 'session' that are remembered"),
};
#undef KEY

#define KEY(name, least, most, member, help)                               \
  RoleKey {                                                                \
    name, least, most, help, [](const access::Role& r) -> Setting { return wrap(r.member); }, \
        [](access::Role& r, const Setting& value) { unwrap(r.member, value); } \
  }

const std::array kRoleKeys{
    KEY("methods", 0, 0, methods, "patterns of the methods that may be called: * is any characters, ? is one; nothing else may be called"),
    KEY("databases", 0, 0, databases, "patterns of the databases that may be used; none: all"),
    KEY("statements", 0, 0, statements, "statements of the caller's own: named (none: only those of .sql files), read (those that change nothing) or write (all)"),
    KEY("calls_per_s", 0, kMost, calls_per_s, "calls a second, of each user; 0: as many as come"),
    KEY("in_flight", 0, kMost, in_flight, "calls under way at once, of each user, streams until their end; 0: no limit"),
    KEY("answer_rows", 0, kMost, answer_rows, "rows in one answer or stream; 0: no limit but those of the gateway"),
    KEY("answer_bytes", 0, kMost, answer_bytes, "bytes of the values in one answer, or in all of a stream; 0: no limit but those of the gateway"),
    KEY("call_ms", 0, kDay, call_ms, "the longest a call may run, a stream until its last row; 0: as limits.call_ms says"),
};
#undef KEY

}  // namespace

std::span<const Key> keys() { return kKeys; }
std::span<const DatabaseKey> database_keys() { return kDatabaseKeys; }
std::span<const RoleKey> role_keys() { return kRoleKeys; }

const Key* find_key(std::string_view section, std::string_view name) {
  const auto found = std::ranges::find_if(kKeys, [&](const Key& key) { return key.section == section && key.name == name; });
  return found == kKeys.end() ? nullptr : &*found;
}

std::string Key::environment() const {
  std::string out = "SLUICE_" + std::string(section) + "_" + std::string(name);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return out;
}

std::string_view kind_name(const Setting& setting) {
  constexpr std::array<std::string_view, 4> kNames{"true or false", "an integer", "a string", "an array of strings"};
  return kNames[setting.index()];
}

Setting without_passwords(Setting setting) {
  if (auto* text = std::get_if<std::string>(&setting)) *text = mask_passwords(*text).text;
  if (auto* list = std::get_if<std::vector<std::string>>(&setting))
    for (std::string& item : *list) item = mask_passwords(item).text;
  return setting;
}

std::string to_toml(const Setting& setting) {
  auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  };
  if (auto* flag = std::get_if<bool>(&setting)) return *flag ? "true" : "false";
  if (auto* number = std::get_if<std::int64_t>(&setting)) return std::to_string(*number);
  if (auto* text = std::get_if<std::string>(&setting)) return quoted(*text);
  std::string out = "[";
  for (const auto& item : std::get<std::vector<std::string>>(setting)) out += (out.size() > 1 ? ", " : "") + quoted(item);
  return out + "]";
}

}  // namespace sluice::config
