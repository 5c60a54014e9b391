#include "handlers/sql/sqlite/backend.h"

#include <charconv>

#include "handlers/sql/sqlite/classify.h"
#include "handlers/sql/sqlite/cursor.h"

namespace sluice::sql::sqlite {
namespace {

Fault out_of_time() { return Fault(Fault::Kind::deadline_exceeded, "the call's time was up while it waited for a reader; it has not run"); }

double ms_since(Clock::time_point when) { return std::chrono::duration<double, std::milli>(Clock::now() - when).count(); }

// Takes the rows of a cursor to the loop that asked for them.
class CursorSource final : public Source {
 public:
  CursorSource(Readers& readers, std::shared_ptr<Cursor> cursor, bool read_only, Loop& loop, std::shared_ptr<Head> head)
      : readers_(readers), cursor_(std::move(cursor)), read_only_(read_only), loop_(loop), head_(std::move(head)) {}
  ~CursorSource() override { cursor_->stop(); }

  void pull(std::size_t most, Receiver receive) override {
    auto receiver = std::make_shared<Receiver>(std::move(receive));
    // The Source may be gone when the rows arrive: then nobody is told.
    std::weak_ptr<bool> alive = alive_;
    Readers::Task task = [cursor = cursor_, head = head_, most, receiver, alive, read_only = read_only_, loop = &loop_, asked = Clock::now()](Connection*) {
      const double waited_ms = ms_since(asked);
      auto batch = std::make_shared<Batch>(cursor->next(most));
      if (read_only && batch->fault && refuses_write(*batch->fault)) batch->fault.emplace(only_reads(batch->fault->message()));
      loop->post([cursor, head, receiver, alive, batch, waited_ms] {
        if (alive.expired()) return;
        if (head && head->columns.empty()) {
          head->columns = cursor->columns();
          head->route.node = head->route.role = "replica";
          head->route.verdict = cursor->verdict();
          head->route.waited_ms = waited_ms;
        }
        (*receiver)(std::move(*batch));
      });
    };
    // A turn for each stream.
    if (auto fault = readers_.run({.party = reinterpret_cast<std::uintptr_t>(this), .goes_on = true}, task)) (*receiver)({{}, true, std::move(*fault)});
  }

 private:
  Readers& readers_;
  std::shared_ptr<Cursor> cursor_;
  const bool read_only_;  // Options::read_only
  Loop& loop_;
  std::shared_ptr<Head> head_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Sqlite::Sqlite(Settings settings)
    : settings_(std::move(settings)), writer_(settings_.file, settings_.secret, settings_.writer), readers_(settings_.file, settings_.readers, {settings_.reads_waiting, settings_.writer.queue_target}) {}

Sqlite::~Sqlite() = default;

bool Sqlite::may_leave_the_primary(const Options& options) noexcept {
  if (!options.tx.empty() || options.level == Level::primary) return false;
  const auto [percent, shadow] = split();
  if (shadow) return false;
  return percent >= 100 || (percent > 0 && turn_.fetch_add(1, std::memory_order_relaxed) % 100 < static_cast<std::uint64_t>(percent));
}

// A reader's snapshot is taken after the call arrived, so whatever was acknowledged before is in it: only the seal is left to check.
std::optional<Fault> Sqlite::token_problem(const std::string& token) const {
  if (writer_.gave(token)) return std::nullopt;
  return Fault(Fault::Kind::bad_arguments, "'after' must be the token of a write's answer, signed by a gateway of this database, not " + describe(Value(token)).substr(7));
}

void Sqlite::run(Work work) {
  if (work.options.level == Level::after)
    if (auto problem = token_problem(work.options.after)) return work.done(std::move(*problem), std::move(work.reply));
  // For who may only read a reader's handle stands in for the primary: it sees all that was committed.
  if (work.statements.size() != 1 || work.expects_write || (!work.options.read_only && !may_leave_the_primary(work.options))) {
    Job job(Job::Kind::statements, std::move(work));
    return writer_.run(std::move(job));
  }
  const auto now = Clock::now();
  const Readers::Caller caller{work.reply.party(), deadline_of(work, now)};
  auto held = std::make_shared<Work>(std::move(work));  // still ours when it is not taken
  Readers::Task task = [this, held, arrived = now](Connection* connection) {
    if (connection)
      read(*connection, std::move(*held), arrived);
    else
      held->done(out_of_time(), std::move(held->reply));
  };
  if (auto fault = readers_.run(caller, task)) held->done(std::move(*fault), std::move(held->reply));
}

// On a reader's thread.
void Sqlite::read(Connection& connection, Work work, Clock::time_point arrived) {
  if (work.reply.cancelled()) return work.done(Fault(Fault::Kind::cancelled, "the caller is gone"), std::move(work.reply));
  const Stop stop = stop_at(work.reply, deadline_of(work, arrived));
  Result result;
  result.route.node = result.route.role = "replica";
  result.route.waited_ms = ms_since(arrived);
  try {
    auto prepared = connection.prepare(work.statements[0].text);
    result.route.verdict = prepared.verdict();
    if (not_run_here(prepared.verdict())) throw Fault(Fault::Kind::bad_arguments, refusal(prepared.verdict(), work.statements[0].text));
    if (prepared.verdict().kind == Class::read) {
      connection.bind(prepared, work.statements[0].params);
      result.rows.push_back(connection.run(prepared, settings_.writer.answer, stop));
      reads_.fetch_add(1, std::memory_order_relaxed);
      return work.done(std::move(result), std::move(work.reply));
    }
  } catch (const std::bad_alloc&) {
    return work.done(Fault::out_of_memory(), std::move(work.reply));
  } catch (const Fault& fault) {
    // The net below the classifier: what a read-only handle refuses is for the primary.
    if (!refuses_write(fault)) return work.done(fault, std::move(work.reply));
    if (work.options.read_only) return work.done(only_reads(fault.message()), std::move(work.reply));
    result.route.verdict = {Class::primary, "a read-only handle refused it"};
  }
  if (work.options.read_only) return work.done(only_reads(result.route.verdict.why), std::move(work.reply));
  forwarded_.fetch_add(1, std::memory_order_relaxed);
  Job job(Job::Kind::statements, std::move(work));
  job.verdict = result.route.verdict;
  job.arrived = arrived;
  writer_.run(std::move(job));
}

void Sqlite::begin(Work work) { writer_.run(Job(Job::Kind::begin, std::move(work))); }
void Sqlite::commit(Work work) { writer_.run(Job(Job::Kind::commit, std::move(work))); }
void Sqlite::rollback(Work work) { writer_.run(Job(Job::Kind::rollback, std::move(work))); }

std::unique_ptr<Source> Sqlite::open(Statement statement, Options options, Loop& loop, std::shared_ptr<Head> head) {
  auto cursor = std::make_shared<Cursor>(settings_.file, std::move(statement), cursors_, static_cast<std::int64_t>(settings_.cursors));
  return std::make_unique<CursorSource>(readers_, std::move(cursor), options.read_only, loop, std::move(head));
}

void Sqlite::explain(std::string statement, Reply reply, ExplainDone done) {
  struct Question {
    Question(std::string statement, Reply reply, ExplainDone done) : statement(std::move(statement)), reply(std::move(reply)), done(std::move(done)) {}
    std::string statement;
    Reply reply;
    ExplainDone done;
  };
  auto question = std::make_shared<Question>(std::move(statement), std::move(reply), std::move(done));
  const Readers::Caller caller{question->reply.party(), question->reply.deadline()};
  Readers::Task task = [question](Connection* connection) {
    if (!connection) return question->done(out_of_time(), std::move(question->reply));
    std::variant<Verdict, Fault> answer;
    try {
      answer = connection->prepare(question->statement).verdict();
    } catch (const Fault& fault) {
      answer = fault;
    }
    question->done(std::move(answer), std::move(question->reply));
  };
  if (auto fault = readers_.run(caller, task)) question->done(std::move(*fault), std::move(question->reply));
}

void Sqlite::status(UniqueFunction<void(Value::Struct)> done) {
  const auto& counters = writer_.counters();
  const auto commits = counters.commits.load(), jobs = counters.jobs.load();
  const Split now = split();
  done({
      {"dialect", "sqlite"},
      {"file", settings_.file},
      {"split", now.percent},
      {"shadow", now.shadow},
      {"nodes", Value::Array{Value::Struct{{"node", "primary"},
                                           {"role", "primary"},
                                           {"waiting", writer_.waiting()},
                                           {"calls", jobs},
                                           {"commits", commits},
                                           {"calls_per_commit", commits ? static_cast<double>(jobs) / static_cast<double>(commits) : 0.0},
                                           {"transactions", counters.transactions.load()},
                                           {"abandoned_transactions", counters.abandoned.load()}},
                             Value::Struct{{"node", "replica"},
                                           {"role", "replica"},
                                           {"lag_ms", 0.0},
                                           {"threads", settings_.readers},
                                           {"waiting", readers_.waiting()},
                                           {"calls", reads_.load()},
                                           {"forwarded", forwarded_.load()},
                                           {"open_cursors", cursors_->load()}}}},
      {"token", writer_.token()},
  });
}

}  // namespace sluice::sql::sqlite
