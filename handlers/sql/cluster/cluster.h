#pragma once
// Cluster: a primary and its replicas as one Backend. Reads go to a replica that is fresh enough for the call, writes to the primary,
// whichever node that is now. Everything lives on one home loop; calls of other loops are carried there and back.
// The policy (who is primary, where a read goes, how far behind a node is, who is healthy) stands in pure functions beside this: elect.h,
// route.h, lag.h, health.h. Here is what happens to a call: admit -> read or write -> a node -> an answer, another try, or a fault.

#include <atomic>
#include <list>
#include <unordered_map>

#include "handlers/sql/cluster/fine_timer.h"
#include "handlers/sql/cluster/lag.h"
#include "handlers/sql/cluster/node.h"
#include "handlers/sql/cluster/route.h"
#include "handlers/sql/cluster/sessions.h"
#include "handlers/sql/token.h"

namespace sluice::sql::cluster {

struct Settings {
  std::string name;                                      // of the database, for messages
  std::vector<std::pair<std::string, std::string>> hosts;  // host and port of each node
  std::vector<std::int64_t> weights;                     // of the nodes, in the order of hosts: their shares of the reads. 0 takes none; 1 where it ends
  NodeLimits node;
  AnswerLimits answer;
  std::chrono::milliseconds statement{30'000};           // a call without a limit of its own ends then
  std::chrono::milliseconds failover{10'000};            // a call waits so long for a primary
  std::chrono::milliseconds freshness{100};              // a read waits at most so long for a replica, then goes to the primary
  std::chrono::milliseconds longest_transaction{300'000};
  std::int64_t max_lag_ms = 10'000;                      // a replica further behind gets no reads; 0: any lag will do
  std::int64_t keys_kept_s = 86'400;                     // then the reply to a key is forgotten
  std::size_t waiting = 10'000;                          // calls at once
  std::size_t sessions = 100'000;
  Split split;
  std::string secret;                                    // seals tokens; "": one that the database keeps
  std::string fallback_secret;                           // when it will not keep one
};

class Cluster final : public Backend {
 public:
  // `engine` is told who we are by its own settings. Nothing connects before start().
  Cluster(std::unique_ptr<Engine> engine, Settings settings, Loop& home, Workers& workers);
  ~Cluster() override;  // the loop does not run any more

  void start();  // on the home loop, or before it runs

  std::string_view dialect() const override { return engine_->dialect(); }
  void run(Work) override;
  void begin(Work) override;
  void commit(Work) override;
  void rollback(Work) override;
  std::unique_ptr<Source> open(Statement, Options, Loop&, std::shared_ptr<Head> head) override;
  void explain(std::string statement, Reply, ExplainDone) override;
  void set_split(Split split) noexcept override { split_.store(split, std::memory_order_relaxed); }
  Split split() const noexcept override { return split_.load(std::memory_order_relaxed); }
  void status(UniqueFunction<void(Value::Struct)> done) override;

 private:
  friend class CursorSource;

  // A call on its way.
  struct Job {
    explicit Job(Work&& work) : work(std::move(work)) {}
    Work work;
    Clock::time_point arrived = Clock::now();
    Clock::time_point sent{};
    Deadline deadline = kNoDeadline;
    Verdict verdict;
    bool understood = false;            // `verdict` and `read` are of its statements
    Ends ends = Ends::never;            // the transaction that its statements run in
    bool opaque = false;                // no other call may have its connection after it
    bool defines = false;               // after it statements may be others than before: that is learned before it is answered
    std::optional<Outcome> outcome;     // while that goes on
    bool read = false;                  // may go to a replica
    bool checked = false;               // its freshness was asked together with it, once
    bool waited = false;                // for a replica to catch up
    bool asked_latest = false;          // `wanted` is what the primary had after the call came in
    bool parked = false;                // in waiting_
    bool refused = false;               // by a replica, for what it is
    bool by_session = false;            // `wanted` is what its session wrote
    std::optional<Position> wanted;     // not older than that
    std::uint64_t tried = 0;            // nodes that broke under it, by bit
    int attempts = 0;                   // nodes that it was sent to
    bool guarded = false;               // its key is claimed and its fence raised, in its transaction
    bool replayed = false;              // its answer is the reply that is kept under its key
    bool may_have_run = false;          // a write was handed to a server that did not answer
    std::string shadow;
    std::shared_ptr<Node::Lease> lease;  // of guarded writes
    std::chrono::milliseconds transaction_life{0};  // more than 0: it opens a transaction
    // Of a cursor: told instead of Work::done.
    UniqueFunction<void(std::variant<std::shared_ptr<Node::Lease>, Fault>, Head)> opened;
    bool answered = false;
    std::list<std::shared_ptr<Job>>::iterator at{};

    std::uint64_t party() const noexcept { return work.reply ? work.reply.party() : 0; }
  };
  using JobPtr = std::shared_ptr<Job>;
  struct Transaction;

  // cluster.cc: calls come in, answers go out, nodes come and go
  void on_home(UniqueFunction<void()>);
  void admit(JobPtr);
  void route(const JobPtr&);
  std::optional<Fault> understand(Job&);
  void leave(const JobPtr&);
  void answer(const JobPtr&, Outcome);
  void answer_rows(const JobPtr&, Node&, Trip::Answer&&);
  Route route_of(const Job&, const Node&) const;
  void node_looked(Node&);
  void node_gone(Node&);
  void hold_election();
  void reigns(const Report&);
  void wait_for_node(const JobPtr&);
  void release_waiting();
  void sweep();
  std::string nobody_for(const Job&, std::chrono::milliseconds waited) const;
  // A connection that came too late for the call that asked for it: others may have it.
  static void give_back(std::variant<std::shared_ptr<Node::Lease>, Failure>&);
  enum class Told : std::uint8_t { done, refused, lost };  // refused: by the server's own no
  static Told told(const Trip::Arrived&);
  void tell(Node&, std::string text, Value params, UniqueFunction<void(Told)> then);
  void tell_all(Node&, std::vector<Statement>, UniqueFunction<void()> then);      // one after the other, each a write of its own
  double lag_of(const Node&) const;
  double others_ms(const Node&) const;
  Node* primary() const noexcept { return primary_ < 0 ? nullptr : nodes_[static_cast<std::size_t>(primary_)].get(); }

  // secret.cc
  void learn_secret();
  void leave_secret(Node&);
  enum class Secret : std::uint8_t { known, absent, unasked };
  void ask_secret(Node&, UniqueFunction<void(Secret)> then);

  // learn.cc
  void look_at_catalogue(Node&);
  void learn(Node*, UniqueFunction<void()> then);  // what is there now; `then` in any case
  void learned(const Node*, bool told, std::vector<UniqueFunction<void()>> asked);
  void when_known(UniqueFunction<void()>);  // or when that takes too long

  // read.cc
  void read(const JobPtr&);
  bool is_history(const JobPtr&, const Node& first, bool primary_usable);
  bool primary_has(const JobPtr&, Node& first);
  bool is_due_at(const JobPtr&, Node& first);
  void tell_lost(const JobPtr&);
  void send_read(const JobPtr&, Node&, bool check);
  void send_cursor(const JobPtr&, Node&, bool check);
  void open_cursor(const JobPtr&, Node&);
  void read_answered(const JobPtr&, Node&, bool check, Trip::Arrived);
  void refused_reader(const JobPtr&, Node&, Failure&&);
  void ask_primary_position(const JobPtr&);
  void wait_for_freshness(const JobPtr&);
  void poll_replicas();
  void check_freshness();
  int pick(const Job&, bool must_be_fresh);
  bool leaves_primary(Job&);
  bool hopeless() const;

  // write.cc
  void write(const JobPtr&);
  void write_failed(const JobPtr&, Node&, Failure);
  static void name_statement(Failure&, const Job&, std::size_t own = 0);
  void sent_write(const JobPtr&, Node&, Trip::Arrived);
  void send_alone(const JobPtr&, Node&, Trip);

  // guarded.cc
  void guarded(const JobPtr&, Node&);
  void create_guards(Node&, UniqueFunction<void()> then);
  void guard(const JobPtr&, Node&);
  void guard_answered(const JobPtr&, Node&, Trip::Answer);
  void finish_guarded(const JobPtr&, Node&, std::vector<Rows>);
  void replay_key(const JobPtr&, Node&);
  void refuse_fence(const JobPtr&, Node&);
  static std::int64_t fence_seen(const Rows&);  // of Texts::read_fence
  static bool has_guards(const Job&);
  void held(const JobPtr&, Node&, std::vector<Statement>, bool position, UniqueFunction<void(Trip::Answer)> then);
  void drop_old_keys();

  // transaction.cc
  void begin_on(const JobPtr&, Node&);
  std::optional<Fault> above_share(const Job&) const;  // its caller may open no more
  std::shared_ptr<Transaction> transaction_of(const Job&) const;  // nullptr: its caller has none by that handle
  void run_in_transaction(const JobPtr&);
  void send_in_transaction(const JobPtr&, const std::shared_ptr<Transaction>&);
  void end_transaction(const JobPtr&, bool commit);
  void forget_transaction(const std::string& handle);
  void end_late(const std::string& handle, const std::string& why);

  std::unique_ptr<Engine> engine_;
  const Settings settings_;
  Loop& home_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Candidate> candidates_;  // of pick(), kept for their memory
  int primary_ = -1;
  Report reign_;                       // the primary's last report as one: demoted, it tells of no history
  std::uint32_t newest_origin_ = 0;
  Lag lag_;
  Sessions sessions_;
  std::optional<Seal> seal_;
  bool learning_secret_ = false;
  std::uint32_t kept_history_of_ = 0;    // this timeline's was kept in the database
  std::atomic<Split> split_;
  std::uint64_t turn_ = 0;    // of the percentage
  std::uint64_t random_ = 0;

  std::list<JobPtr> jobs_;               // all that are not answered
  std::vector<JobPtr> waiting_;          // for a node
  std::vector<std::pair<JobPtr, Clock::time_point>> stale_;  // for a replica to catch up, until then
  std::vector<JobPtr> latest_;           // for the primary's position
  FineTimer poll_timer_;
  int poll_round_ = 0;
  std::uint64_t polling_ = 0;            // nodes with a poll under way, by bit
  double apply_ms_ = 5;                  // moving average of how long a replica took to catch up
  Timer sweep_timer_, keys_timer_;

  bool knows_ = false;                   // the catalogue was learned, or would not tell
  bool learning_ = false;                // a question is under way
  Clock::time_point learned_{};          // the primary's, last
  std::vector<UniqueFunction<void()>> to_learn_;  // who waits for the next question's answer
  std::vector<UniqueFunction<void()>> unlearned_;  // who waits for the first
  Timer unlearned_timer_;
  bool guards_ready_ = false, keys_used_ = false;

  std::unordered_map<std::string, std::shared_ptr<Transaction>> transactions_;
  struct Counters {
    std::uint64_t reads = 0, writes = 0, primary_reads = 0, refused = 0, retried = 0, waited = 0, shadowed = 0, elections = 0, cursors = 0;
  } counters_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::sql::cluster
