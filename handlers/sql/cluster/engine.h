#pragma once
// Engine: what a database server must offer to stand behind a Cluster: connections that run statements, a look at a node's role and
// position, and the few texts in which dialects differ. Routing, freshness, health, failover and retries are the Cluster's.
// Everything here lives on one loop and never blocks it.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "handlers/sql/answer_limits.h"
#include "handlers/sql/backend.h"
#include "handlers/sql/position.h"

namespace sluice::sql::cluster {

struct Address {
  std::string name;     // as configured, "db1.example:5432": what routes and messages call the node
  std::string host;     // as configured, for TLS
  std::string numeric;  // what `host` resolved to: connecting must not ask a name server
  std::string port;
};

struct Failure {
  enum class Kind : std::uint8_t {
    statement,    // the server's own no: the fault is the caller's answer
    shed,         // it was not sent, as too many wait for a connection, or its time was up before its turn: the fault is the caller's answer
    refused,      // a node that only reads would not run it: it is for the primary. It had no effect
    retryable,    // no effect, and the server says that trying again may help: a recovery conflict, a deadlock, a serialization failure
    starting,     // the server answers, but serves nobody now: starting up, shutting down, too many connections
    lost,         // the connection ended before the answer
  };
  Kind kind = Kind::lost;
  Fault fault{Fault::Kind::unavailable, ""};
  bool may_have_run = false;  // of `lost`: the statement was handed to the socket
  bool writes = false;        // of `refused`: because it would have written, not because of what a replica cannot do
  bool of_node = false;       // of `refused`: by trouble of this node, it may be, not by what the statement is
  std::size_t at = 0;         // of `statement` and `retryable`: which of the trip's statements it was
  bool ended = false;         // of a held trip: the statement has ended the transaction, and what it and those before it did is kept
};

// One way to a server and back. All statements run in order; after the first failure none of the rest does.
struct Trip {
  enum class Kind : std::uint8_t {
    read,   // one statement that changes nothing, or some; may share a pipeline with strangers
    write,  // by itself durable when answered; several statements are one transaction of their own
    held,   // within the transaction that this link's holder has opened: runs as it stands
  };
  Kind kind = Kind::read;
  std::vector<Statement> statements;  // params: nil or an Array, for `?` and `$1` alike; or a Struct for `:name`
  bool read_committed = false;  // of a write of several statements: its transaction's isolation
  std::uint64_t party = 0;           // of a FairQueue, where it has to wait
  Deadline deadline = kNoDeadline;   // it is not sent later
  bool own = false;  // no caller's: their limits of answers are not its, the defaults are
  bool position = false;  // also tell the node's position: of a read taken before the first statement ran, of a write after its commit

  struct Answer {
    std::vector<Rows> rows;  // one for each statement
    Position at;             // when asked for
    Clock::time_point sent{};  // to the server, after it waited in a Node's line; none: it waited in none
  };
  using Arrived = std::variant<Answer, Failure>;
  UniqueFunction<void()> sending;      // told, where anybody asks, just before it goes out
  UniqueFunction<void(Arrived)> done;  // once, on the loop, never from within send()
};

// A connection. Destroying it closes the socket and drops its trips without a word.
class Link {
 public:
  enum class Use : std::uint8_t {
    read,   // shared; the session is read-only by the server's own setting, so that a write is refused and not run
    write,  // shared; each trip commits by itself
    lease,  // one holder at a time: transactions and cursors
    probe,  // looks at the node
  };

  virtual ~Link() = default;

  // How many more trips it takes now: 0 while it connects, is full, or is dead. An engine that does not pipeline says 1 or 0.
  virtual std::size_t room() const noexcept = 0;
  virtual std::size_t in_flight() const noexcept = 0;
  virtual void send(Trip) = 0;

  // The deadline of the trip that the server runs now; kNoDeadline: it has none, or nothing runs.
  virtual Deadline due() const noexcept = 0;
  // What stops this connection's statement, run on another; nullopt: the server notices by itself, within a second, that it was closed.
  virtual std::optional<Statement> killer() const { return std::nullopt; }

  // A read in parts, on a lease with nothing else in flight. `open` answers the column names; `fetch` up to `most` rows, `end` when none
  // follow. Closing the cursor: destroy the link, or close_cursor() to give it back clean.
  struct Chunk {
    Value::Array rows;  // each an Array
    bool end = false;
  };
  virtual void open_cursor(Statement, UniqueFunction<void(std::variant<std::vector<std::string>, Failure>)> done) = 0;
  virtual void fetch(std::size_t most, UniqueFunction<void(std::variant<Chunk, Failure>)> done) = 0;
  virtual void close_cursor(UniqueFunction<void(bool clean)> done) = 0;

  // Closes the connection; every trip that is not answered ends as `lost` with `why`, from within.
  virtual void cut(const std::string& why) = 0;
};

// What a look at a node found.
struct Report {
  bool primary = false;        // takes writes: not in recovery, not read-only
  Position at;                 // written up to (primary), applied up to (replica)
  std::vector<Mark> history;   // of a primary: how far each earlier origin's changes are part of its own
  bool history_known = false;  // `history` is complete: what is not in it never was
  bool history_fades = false;  // the server may forget it: Engine::keep_history
  bool following = true;       // of a replica: a stream of changes is connected
  std::uint32_t origin = 0;    // the timeline that a replica follows; 0: it does not say
  double delay_ms = 0;         // of a replica: age of the last change that it applied; meaningless when it has applied all
  std::string version;         // of the server, for topology
};

enum class Judgement : std::uint8_t {
  kept,     // part of this primary's history, or of its future
  lost,     // was acknowledged by a primary that is gone, and never came here
  unknown,  // this primary cannot tell
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string_view dialect() const = 0;  // "postgresql", "mariadb"

  // A Mark's origin is a timeline: the higher one carries on the lower. Otherwise it is a server, and none is newer than another.
  virtual bool origins_are_timelines() const noexcept = 0;

  // Starts to connect. `opened` is told once, later, whether it came to be; `lost` once when an open connection ends by itself, after its
  // trips were told. Neither after the Link was destroyed.
  struct Events {
    UniqueFunction<void(std::optional<Failure>)> opened;
    UniqueFunction<void()> lost;
  };
  virtual std::unique_ptr<Link> dial(const Address&, Link::Use, Loop&, Events) = 0;

  virtual void probe(Link&, UniqueFunction<void(std::variant<Report, Failure>)> done) = 0;

  // The read that tells what statements alone do not show (users' functions and views), now and then, one at a time. It may take long
  // where there is much to tell, so it is none of the probe's. nullopt: there is nothing to learn.
  virtual std::optional<Trip> learn() { return std::nullopt; }

  virtual Verdict classify(std::string_view statement) = 0;
  // A replica refused a statement that was taken for a read, and the primary ran it: its text is for the primary from now on.
  virtual void remember(std::string_view statement, Verdict) = 0;

  // Is what `wanted` names still part of the history that `primary` carries on?
  virtual Judgement judge(const Report& primary, const Position& wanted) const = 0;

  // Writes that keep a primary's history in the database, for gateways that look later. Run once an election; one that fails is let be.
  virtual std::vector<Statement> keep_history(const Report&) const { return {}; }

  // Texts of the dialect. All take positional parameters.
  struct Texts {
    std::string begin, commit, rollback;
    bool failure_ends_transaction = false;   // after any error in a transaction nothing but its end is accepted
    std::string create_secret, offer_secret, read_secret;  // table sluice_secret: offer (secret) does nothing when there is one
    std::vector<std::string> create_keys;    // tables sluice_keys (key, digest, reply) and sluice_fences (name, token), if they are not there
    std::string claim_key;                   // (key, digest): inserts; affects one row, or none when the key is there (waits for whoever inserts it now)
    std::string read_key;                    // (key): digest, reply (bytes or text; NULL while it runs)
    std::string finish_key;                  // (reply, key)
    std::string drop_old_keys;               // (age in seconds)
    std::string raise_fence;                 // (name, token): affects no row when a higher token was seen
    std::string read_fence;                  // (name): token
  };
  virtual const Texts& texts() const = 0;
};

}  // namespace sluice::sql::cluster
