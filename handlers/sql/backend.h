#pragma once
// Backend: a database as the sql handler sees it: a primary and what reads may be sent to instead. It knows how to run a
// statement, what a statement is, and how fresh its nodes are.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "handlers/sql/split.h"
#include "rpc/reply.h"

namespace sluice::sql {

struct Statement {
  std::string text;
  Value params;  // nil, an Array for ? and $1, or a Struct for :name
};

// What a statement is, by the engine's own grammar.
enum class Class : std::uint8_t {
  read,     // changes nothing; any node may answer
  write,    // changes data, or may
  session,  // would change the state of a connection that other callers share: refused
  primary,  // changes nothing, but only the primary may answer
};
std::string_view name_of(Class) noexcept;

// What becomes of the transaction that a statement runs in.
enum class Ends : std::uint8_t {
  never,    // but by its own failure
  perhaps,  // a procedure may commit; some statements of PostgreSQL commit at once where nobody began a transaction in words
  always,   // it commits by itself (MariaDB's definitions)
};

struct Verdict {
  Class kind = Class::primary;
  std::string why;  // for people: in routes and in explain
  bool by_node = false;  // of Class::primary: nothing in its text says so, a node that only reads has refused it
  bool defines = false;  // of Class::write: functions, views and the like may be others after it, and so may what other statements are
  bool opaque = false;   // the text was not understood: it may do anything to the connection, too, and runs on one of its own
  Ends ends = Ends::never;
};

// May it change something, as far as its text tells? Functions that nobody knows may.
inline bool may_change(const Verdict& verdict) noexcept { return verdict.kind == Class::write || (verdict.kind == Class::primary && !verdict.by_node); }

// Where a caller allows a read to go. See docs/life-of-a-call.md.
enum class Level : std::uint8_t { any, bounded, after, latest, primary };

// The lease of a lock under which a caller writes. A write with a lower token than was seen for that lock comes from someone who
// has lost the lease: it is refused, in the transaction of the write itself, with a conflict.
struct Fence {
  std::string lock;
  std::int64_t token = 0;  // more than 0
};
Fault stale(const Fence&, std::int64_t seen);  // the conflict; for backends

struct Options {
  Level level = Level::any;
  std::int64_t max_lag_ms = 0;    // of Level::bounded
  std::string after;              // causality token of Level::after
  std::string tx;                 // a transaction's handle; "" for none
  std::int64_t timeout_ms = 0;    // 0: the transport's limit alone
  std::optional<Fence> fence;     // of writes alone; nullopt: none
  std::string key;                // of writes alone: done once for each key, whoever repeats it; "" for none
  std::string db;                 // which database; "" for the default one
  std::string session;            // reads see what was written under the same name; "" for none
  // No option that callers give: who he is, "" when nobody was asked. Keys and transactions are his alone.
  std::string caller;
  // Nor is this: the caller's role lets him only read. The statement runs where the server itself refuses writes, on the
  // primary too, and what it refuses is only_reads().
  bool read_only = false;
  // Nor is this: the gateway asks for itself. What it defines is no caller's matter, and it does not wait until that is learned.
  bool own = false;
  // Of several statements: each sees what was committed before it began. Without it they see what the database's own default lets them.
  bool read_committed = false;
};

Fault of_statement(std::size_t number, std::size_t all, const Fault&);  // which of several it was that failed, from 1; for backends
Fault longer_than(std::chrono::milliseconds longest, std::chrono::milliseconds asked);  // of begin()'s timeout_ms; for backends
Fault only_reads(const std::string& why);  // the denial of a write whose caller may only read; for backends

struct Rows {
  std::vector<std::string> columns;
  Value::Array rows;  // each an Array
  std::int64_t affected = 0;
  std::int64_t last_insert_id = 0;
};

struct Route {
  std::string node;
  std::string_view role;  // "primary", "replica": a literal
  Verdict verdict;
  double lag_ms = 0;     // how far behind the primary the node was, at worst
  double waited_ms = 0;  // in queues and for freshness, before it ran
  int attempts = 1;
  std::string position;  // of the node, as far as the answer told; "" when nobody asked
  bool replayed = false;  // nothing was run: the reply is the one that is kept under the option 'key'
  std::string shadow;    // where it would have gone, were the split more than a shadow
};

struct Result {
  std::vector<Rows> rows;  // one for each statement
  Route route;
  std::string token;  // of a write: pass it as {"after": token}
};
using Outcome = std::variant<Result, Fault>;

// `done` is called once, from a thread of the backend's. While it waits or runs it asks `reply` whether the caller is still
// there; the answer itself is the handler's to make.
struct Work {
  explicit Work(Reply&& reply) : reply(std::move(reply)) {}
  std::vector<Statement> statements;  // more than one: one transaction on the primary
  Options options;
  bool expects_write = false;  // sql.execute: the primary first, no look elsewhere
  Reply reply;
  UniqueFunction<void(Outcome, Reply)> done;
};

// The call's own limit of time, or the caller's option, whichever comes first.
inline Deadline deadline_of(const Work& work, Clock::time_point arrived) {
  if (work.options.timeout_ms <= 0) return work.reply.deadline();
  return std::min(work.reply.deadline(), deadline_in(std::chrono::milliseconds(work.options.timeout_ms), arrived));
}

// What a cursor tells besides its rows; the first pull fills it in.
struct Head {
  std::vector<std::string> columns;
  Route route;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view dialect() const = 0;

  virtual void run(Work) = 0;

  // A transaction on the primary. Begin's Result holds the handle as its token.
  virtual void begin(Work) = 0;
  virtual void commit(Work) = 0;    // options.tx; the Result's token covers all of its writes
  virtual void rollback(Work) = 0;  // options.tx

  // A read whose rows are taken in parts. Cheap: what can fail, fails at the first pull. `head`: nullptr when nobody wants it.
  virtual std::unique_ptr<Source> open(Statement, Options, Loop&, std::shared_ptr<Head> head) = 0;

  using ExplainDone = UniqueFunction<void(std::variant<Verdict, Fault>, Reply)>;
  virtual void explain(std::string statement, Reply, ExplainDone) = 0;

  // From any thread.
  virtual void set_split(Split) noexcept = 0;
  virtual Split split() const noexcept = 0;

  // The nodes with their roles, queues and counters.
  virtual void status(UniqueFunction<void(Value::Struct)> done) = 0;
};

}  // namespace sluice::sql
