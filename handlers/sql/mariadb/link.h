#pragma once
// Link to MariaDB: one trip at a time, each a walk through steps of the library: begin, prepare, execute, fetch, commit. Statements stay
// prepared, the last used in front. The GTID of a write comes with its answer, by session tracking.

#include <list>
#include <unordered_map>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/mariadb/gtid.h"
#include "handlers/sql/mariadb/session.h"
#include "handlers/sql/mariadb/statements.h"
#include "handlers/sql/mariadb/values.h"

namespace sluice::sql::mariadb {

// The texts that a transaction's holder sends: they need no preparing.
inline constexpr std::string_view kBegin = "START TRANSACTION", kCommit = "COMMIT", kRollback = "ROLLBACK";

class MariaLink final : public cluster::Link, private Session::Owner {
 public:
  using Failure = cluster::Failure;
  using Trip = cluster::Trip;

  MariaLink(const Login&, const cluster::Address&, Use, Loop&, Statements&, AnswerLimits, cluster::Engine::Events);
  ~MariaLink() override;

  std::size_t room() const noexcept override { return state_ == State::open && !busy() ? 1 : 0; }
  std::size_t in_flight() const noexcept override { return busy() ? 1 : 0; }
  void send(Trip) override;
  Deadline due() const noexcept override { return flight_ ? flight_->trip.deadline : kNoDeadline; }
  std::optional<Statement> killer() const override { return Statement{"KILL ?", Value::Array{session_->id()}}; }
  void open_cursor(Statement, UniqueFunction<void(std::variant<std::vector<std::string>, Failure>)> done) override;
  void fetch(std::size_t most, UniqueFunction<void(std::variant<Chunk, Failure>)> done) override;
  void close_cursor(UniqueFunction<void(bool clean)> done) override;
  void cut(const std::string& why) override { lost(why); }

 private:
  static constexpr std::size_t kPrepared = 64;             // statements kept at the server
  static constexpr std::size_t kPreparedBytes = 16 << 10;  // longer texts are not kept
  static constexpr int kRowsPerTurn = 512;                 // then other connections have their turn
  static constexpr unsigned long kPrefetch = 128;          // rows that a cursor asks for at once
  static constexpr std::size_t kChunkBytes = 1 << 20;      // a cursor's answer ends there

  enum class State : std::uint8_t { connecting, open, dead };
  enum class Step : std::uint8_t {
    none,                                          // somebody will go on
    connect,
    isolate, begin, commit, rollback, control,     // texts without rows; isolate: of the transaction that comes next
    position, position_read,                       // of the node
    evict, prepare, execute, reprepare, fetch, skip, next, close,  // a statement; skip: rows that nobody gets
    cursor_guard, cursor_prepare, cursor_execute, cursor_fetch, cursor_close, cursor_unguard,
    over,                                          // the trip has its answer
  };
  struct Prepared {
    std::string text;
    MYSQL_STMT* statement = nullptr;
  };
  // The trip on its way.
  struct Flight {
    Flight() {}  // said: clang 14 cannot make one up within this class
    Trip trip;
    Trip::Answer answer;
    std::optional<Failure> failure;
    std::size_t at = 0;         // the statement that is run
    std::size_t bytes = 0;      // of the values in the answer
    std::size_t skipped = 0;    // rows beyond the limits
    bool changes = false;       // the statement that is run writes
    bool began = false;         // a transaction of its own
    bool within = false;        // the statement that is run is in a transaction, its own or its holder's
    bool may_have_run = false;  // something was sent that lasts by itself
    std::string gtid;           // of its commit
  };

  bool busy() const noexcept { return flight_ || cursor_done_; }
  void completed() override;
  void hung_up() override;
  void go(Step);
  bool start(Step);  // true: over at once
  Step after(Step);  // what follows

  // link.cc: a trip
  Step first_step();
  Step statement_step();
  Step execution_step();
  Step prepared();
  Step executed();
  Step row_came();
  Step result_done();
  Step statement_done();
  Step statements_done();
  Step answered();
  Step position_came();
  Step fail(Failure);
  Step failed(const Error&);
  void finish();
  void tell(UniqueFunction<void()>);
  void lost(const std::string& why);

  // prepared.cc: statements at the server
  const Marked& marked(const Statement&);
  bool bind(MYSQL_STMT*);
  std::optional<Fault> prepare_parameters(const Statement&);
  MYSQL_STMT* find_prepared(const std::string& text);
  void keep(const std::string& text, MYSQL_STMT*);
  void forget(MYSQL_STMT*);

  // cursor.cc
  void cursor_go(Step, UniqueFunction<void(std::optional<Failure>)> done);
  Step cursor_after(Step);
  Step cursor_row();
  void cursor_over(std::optional<Failure>);

  const Use use_;
  Loop& loop_;
  Statements& statements_;
  const AnswerLimits limits_;
  cluster::Engine::Events events_;
  State state_ = State::connecting;
  std::optional<Session> session_;
  Step step_ = Step::connect;
  bool within_call_ = false;  // of ours by our holder: nobody is told from within

  std::optional<Flight> flight_;
  Marked running_;                         // the statement that is run, with ? only
  std::optional<Parameters> parameters_;   // its
  Columns columns_;                        // its
  MYSQL_STMT* statement_ = nullptr;        // of the step
  bool kept_ = false;                      // it stays prepared
  int rows_in_turn_ = 0;

  std::list<Prepared> prepared_;  // the last used in front
  std::unordered_map<std::string_view, std::list<Prepared>::iterator> by_text_;

  MYSQL_STMT* cursor_ = nullptr;
  std::optional<Statement> cursor_statement_;
  Chunk chunk_;
  std::size_t chunk_most_ = 0, chunk_bytes_ = 0;
  UniqueFunction<void(std::optional<Failure>)> cursor_done_;

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::sql::mariadb
