#pragma once
// Link to PostgreSQL: libpq in pipeline mode. Reads of strangers share a Sync for each turn of the loop; when one of them fails, those
// that it took down with it are sent again alone. Every write has a Sync of its own.

#include <libpq-fe.h>

#include <deque>
#include <list>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "handlers/sql/cluster/engine.h"
#include "handlers/sql/postgres/statements.h"
#include "handlers/sql/postgres/values.h"
#include "rpc/loop.h"

namespace sluice::sql::postgres {

// "16/B374D848"
bool read_lsn(std::string_view text, std::uint64_t& out);

class PgLink final : public cluster::Link, private Loop::Watcher, private Loop::TurnEnd {
 public:
  using Failure = cluster::Failure;
  using Trip = cluster::Trip;

  PgLink(const std::vector<std::pair<std::string, std::string>>& parameters, Use, Loop&, Statements&, const std::string& system, AnswerLimits, cluster::Engine::Events);
  ~PgLink() override;

  std::size_t room() const noexcept override;
  std::size_t in_flight() const noexcept override { return flights_.size(); }
  void send(Trip) override;
  Deadline due() const noexcept override { return flights_.empty() ? kNoDeadline : flights_.front()->trip.deadline; }
  void open_cursor(Statement, UniqueFunction<void(std::variant<std::vector<std::string>, Failure>)> done) override;
  void fetch(std::size_t most, UniqueFunction<void(std::variant<Chunk, Failure>)> done) override;
  void close_cursor(UniqueFunction<void(bool clean)> done) override;
  void cut(const std::string& why) override;

 private:
  static constexpr std::size_t kPipelined = 48;  // trips on the way at once
  static constexpr std::size_t kPrepared = 256;  // named statements kept at the server
  static constexpr std::size_t kPreparedBytes = 16 << 10;  // longer texts are not prepared
  static constexpr std::size_t kParameters = 65'535;  // of a statement: the protocol counts them in two octets

  // A trip on its way.
  struct Flight {
    Trip trip;
    Trip::Answer answer;
    std::optional<Failure> failure;
    std::size_t bytes = 0;      // of the values in the answer
    std::size_t pending = 0;    // what of it is still expected, Syncs apart
    bool alone = false;         // has a Sync of its own
    bool aborted = false;       // a neighbour's failure took it down
    bool plan_changed = false;  // a prepared statement does not fit its tables any more
    bool committed = false;     // its Sync came back: a write is durable, whatever comes after
  };
  // A text that is kept at the server.
  struct Named {
    std::string key;  // types and text
    std::string name;
    bool sent = false;  // the server has it, or is about to
  };
  using NamedPtr = std::shared_ptr<Named>;
  // What the server is to answer next.
  struct Expected {
    enum class Kind : std::uint8_t { prepare, statement, position, control, sync } kind;
    std::shared_ptr<Flight> flight;  // none for a Sync that reads share
    std::size_t index = 0;           // of the statement
    NamedPtr named;                  // of prepare, and of an execution by name
    bool ended = false;              // the server said that this was all
  };
  // The parameters of the statement that is being sent, as libpq takes them.
  struct Bound {
    std::vector<Parameter> parameters;
    std::vector<Oid> types;
    std::vector<const char*> values;
    std::vector<int> lengths, formats;

    void take(const Numbered&, const Value& params);
    int count() const noexcept { return static_cast<int>(parameters.size()); }
  };

  void on_ready(std::uint32_t events) override;
  void on_turn_end() override;
  void watch(std::uint32_t events);
  void connect();
  void transmit(const std::shared_ptr<Flight>&);
  bool transmit_statement(const std::shared_ptr<Flight>&, std::size_t index);
  void control(const std::shared_ptr<Flight>&, const char* text);
  // What libpq would not take (it had no memory) will never be answered: the connection ends with the turn.
  void sent(int taken) noexcept { unsent_ |= taken == 0; }
  void expect(Expected::Kind, const std::shared_ptr<Flight>&, std::size_t index = 0, NamedPtr named = {});
  void sync(const std::shared_ptr<Flight>&);
  void flush();
  void receive();
  void take(const PGresult*);
  void take_rows(Flight&, std::size_t index, const PGresult*);
  void take_position(Flight&, const PGresult*);
  void failed(Expected&, const PGresult*);
  void expected_done();
  void deliver();
  void finish(const std::shared_ptr<Flight>&);
  void lost(std::string why);
  NamedPtr find(std::string_view key);
  NamedPtr when_hot(std::string_view key);
  NamedPtr name(std::string_view key);
  void forget(const Named&);

  const Use use_;
  Loop& loop_;
  Statements& statements_;
  const std::string& system_;  // the engine's: known once a probe was answered
  const AnswerLimits limits_;
  cluster::Engine::Events events_;
  PGconn* connection_ = nullptr;
  int fd_ = -1;
  std::uint32_t watching_ = 0;
  enum class State : std::uint8_t { connecting, open, dead } state_ = State::connecting;
  PostgresPollingStatusType connect_wants_ = PGRES_POLLING_WRITING;

  std::deque<std::shared_ptr<Flight>> flights_;  // in the order in which they were sent
  std::deque<Expected> expected_;
  std::deque<std::shared_ptr<Flight>> done_;  // to be told at the end of a reading
  bool front_answered_ = false;  // something came for the front of expected_
  bool group_open_ = false;   // reads were sent since the last Sync
  bool rows_by_one_ = false;  // told libpq so for the statement at the front
  bool turn_end_ = false;
  bool unsent_ = false;

  Bound bound_;      // this and the next are kept for their memory
  std::string key_;
  std::list<NamedPtr> names_;  // the last used in front
  std::unordered_map<std::string_view, std::list<NamedPtr>::iterator> by_key_;
  std::unordered_set<std::size_t> once_;  // hashes of texts that came once
  std::uint64_t next_name_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::sql::postgres
