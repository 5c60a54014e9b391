#include "handlers/sql/cluster/cluster.h"

#include <algorithm>

#include "handlers/sql/cluster/elect.h"
#include "handlers/sql/cluster/transaction.h"
#include "rpc/utf8.h"

namespace sluice::sql::cluster {

using std::chrono::milliseconds;

namespace {

// What commits by itself would end the transaction that the others of its company need. The stores of locks and ids make their tables so, and mean it.
bool in_company(const Work& work) {
  return work.statements.size() > 1 || !work.options.key.empty() || work.options.fence || !work.options.tx.empty();
}

Fault commits_by_itself(std::string_view text) {
  return Fault(Fault::Kind::bad_arguments, "this statement commits by itself, whatever came before it: run it alone with sql.execute, not in a batch, in a transaction, or with the option 'key' or 'fence': " + to_utf8(text.substr(0, 100)));
}

}  // namespace

Cluster::Cluster(std::unique_ptr<Engine> engine, Settings settings, Loop& home, Workers& workers)
    : engine_(std::move(engine)), settings_(std::move(settings)), home_(home), sessions_(settings_.sessions), split_(settings_.split), poll_timer_(home),
      sweep_timer_(home), keys_timer_(home), unlearned_timer_(home) {
  if (!settings_.secret.empty()) seal_.emplace(settings_.secret);
  for (const auto& [host, port] : settings_.hosts) {
    Node::Events events;
    events.looked = [this](Node& node) { node_looked(node); };
    events.gone = [this](Node& node) { node_gone(node); };
    events.others_ms = [this](const Node& node) { return others_ms(node); };
    const std::string name = (host.find(':') == host.npos ? host : "[" + host + "]") + ":" + port;
    nodes_.push_back(std::make_unique<Node>(name, host, port, *engine_, home, workers, settings_.node, std::move(events)));
  }
}

Cluster::~Cluster() {
  alive_.reset();
  // Whoever still waits is told: the loops that would carry the answers do not run, but a Reply must be answered.
  for (auto& [handle, transaction] : transactions_) transaction->lease.reset();
  auto jobs = std::exchange(jobs_, {});
  for (const JobPtr& job : jobs)
    if (!std::exchange(job->answered, true) && job->work.done) job->work.done(Fault(Fault::Kind::cancelled, "the gateway is stopping"), std::move(job->work.reply));
  for (auto& then : std::exchange(unlearned_, {})) then();
}

void Cluster::start() {
  for (auto& node : nodes_) node->start();
  sweep_timer_.start(milliseconds(50), [this] { sweep(); });
  keys_timer_.start(std::chrono::minutes(10), [this] { drop_old_keys(); });
}

void Cluster::on_home(UniqueFunction<void()> task) {
  if (Loop::current() == &home_) return task();
  home_.post(std::move(task));
}

void Cluster::run(Work work) {
  auto job = std::make_shared<Job>(std::move(work));
  on_home([this, job] { admit(job); });
}

// What every call goes through: it is counted, given its deadline, understood, and sent on its way.
void Cluster::admit(JobPtr job) {
  if (jobs_.size() >= settings_.waiting) {
    job->answered = true;
    Fault fault(Fault::Kind::overloaded, std::to_string(settings_.waiting) + " calls for the database " + settings_.name + " are under way already (waiting); try again in a moment");
    if (job->opened) return job->opened(std::move(fault), {});
    return job->work.done(std::move(fault), std::move(job->work.reply));
  }
  job->at = jobs_.insert(jobs_.end(), job);
  const auto& options = job->work.options;
  job->deadline = deadline_in(options.timeout_ms > 0 ? milliseconds(options.timeout_ms) : settings_.statement, job->arrived);
  if (job->work.reply) job->deadline = std::min(job->deadline, job->work.reply.deadline());
  // Tokens cannot be read before the secret is known, nor statements judged before the catalogue is: both are asked of the first node.
  if (!seal_ || !knows_) return wait_for_node(job);
  route(job);
}

void Cluster::route(const JobPtr& job) {
  if (job->answered) return;
  if (!std::exchange(job->understood, true))
    if (auto fault = understand(*job)) return answer(job, std::move(*fault));
  const auto& options = job->work.options;
  if (!job->wanted && !options.after.empty()) {
    job->wanted = seal_->open(options.after);
    if (!job->wanted)
      return answer(job, Fault(Fault::Kind::bad_arguments, "'after' must be the token of a write's answer, signed by a gateway of this database, not " + describe(Value(options.after)).substr(7)));
  }
  if (!options.tx.empty()) return run_in_transaction(job);
  if (!job->wanted && job->read) {
    if (const Position* written = options.session.empty() ? nullptr : sessions_.find(options.session)) {
      job->wanted = *written;
      job->by_session = true;
    }
  }
  if (job->opened && !job->read)
    return answer(job, Fault(Fault::Kind::bad_arguments, "a cursor is for reads, and this statement is none: " + job->verdict.why + ". Run it with sql.execute"));
  job->read ? read(job) : write(job);
}

// The class of the whole call: the worst of its statements.
std::optional<Fault> Cluster::understand(Job& job) {
  Work& work = job.work;
  job.read = !work.expects_write && work.statements.size() == 1 && !work.options.fence && work.options.key.empty();
  for (const Statement& statement : work.statements) {
    if (const auto nul = statement.text.find('\0'); nul != statement.text.npos)
      return Fault(Fault::Kind::bad_arguments, "the statement has a NUL character at byte " + std::to_string(nul) + ", where a server would end it; pass octets as a parameter");
    Verdict verdict = engine_->classify(statement.text);
    if (verdict.kind == Class::session && !work.options.tx.empty())
      return Fault(Fault::Kind::bad_arguments, "a transaction of sql.begin takes no statement that changes its connection: " + verdict.why + ". It has no savepoints, and its settings are the server's; to undo some of it alone, make that a transaction of its own. sql.commit and sql.rollback end it");
    if (verdict.kind == Class::session)
      return Fault(Fault::Kind::bad_arguments, "this statement would change the connection, which other callers share: " + verdict.why + ". " +
                                                   "Use sql.begin for a transaction, sql.open for a cursor, the options of a call for its settings");
    job.defines |= verdict.defines;
    job.opaque |= verdict.opaque;
    job.ends = std::max(job.ends, verdict.ends);
    if (verdict.ends == Ends::always && !work.options.own && in_company(work)) return commits_by_itself(statement.text);
    if (job.verdict.why.empty() || verdict.kind == Class::write) job.verdict = std::move(verdict);
  }
  if (work.options.read_only) {
    if (may_change(job.verdict)) return only_reads(job.verdict.why);
    // A node refused it before. On the primary it may be a read still, and there it is run as one.
    if (job.verdict.kind != Class::read) work.options.level = Level::primary;
  } else if (job.verdict.kind != Class::read) {
    job.read = false;
  }
  return std::nullopt;
}

void Cluster::leave(const JobPtr& job) {
  job->answered = true;
  jobs_.erase(job->at);
}

void Cluster::answer(const JobPtr& job, Outcome outcome) {
  if (job->answered) return;
  // Whoever has this answer may use what it defined, and is judged by what is known then. The gateway's own tables are no caller's matter.
  if (job->attempts > 0 && std::exchange(job->defines, false) && !job->work.options.own) {
    job->outcome = std::move(outcome);
    return learn(primary(), [this, job] {
      if (!job->answered) answer(job, std::move(*job->outcome));
    });
  }
  leave(job);
  job->lease.reset();
  if (job->opened) {
    if (auto* fault = std::get_if<Fault>(&outcome)) job->opened(std::move(*fault), {});
    return;
  }
  job->work.done(std::move(outcome), std::move(job->work.reply));
}

Route Cluster::route_of(const Job& job, const Node& node) const {
  Route route;
  route.node = node.name();
  const bool is_primary = &node == primary();
  route.role = is_primary ? "primary" : "replica";
  route.verdict = job.verdict;
  route.lag_ms = is_primary ? 0 : lag_of(node);
  route.waited_ms = std::chrono::duration<double, std::milli>(job.sent - job.arrived).count();
  route.attempts = job.attempts;
  route.replayed = job.replayed;
  route.shadow = job.shadow;
  return route;
}

void Cluster::answer_rows(const JobPtr& job, Node& node, Trip::Answer&& from) {
  Result result;
  result.rows = std::move(from.rows);
  job->sent = std::max(job->sent, from.sent);
  result.route = route_of(*job, node);
  if (!from.at.empty()) {
    node.saw(from.at, home_.now());
    if (&node == primary()) lag_.primary_at(from.at, home_.now());
    if (!job->read) {
      result.token = seal_->close(from.at);
      if (!job->work.options.session.empty()) sessions_.wrote(job->work.options.session, from.at);
    }
    result.route.position = result.token.empty() ? seal_->close(from.at) : result.token;
  }
  answer(job, std::move(result));
}

// A primary that is gone makes nothing new: what a replica lacked when it went does not grow with the time that an election takes.
double Cluster::lag_of(const Node& node) const {
  const Node* first = primary();
  const bool gone = first && first->health().state() == Health::State::down;
  return lag_.behind_ms(node.at(), gone ? std::min(node.seen_at(), first->seen_at()) : node.seen_at());
}

double Cluster::others_ms(const Node& node) const {
  double least = 0;
  for (const auto& other : nodes_) {
    if (other.get() == &node || other->health().latency_ms() <= 0) continue;
    if (least == 0 || other->health().latency_ms() < least) least = other->health().latency_ms();
  }
  return least;
}

void Cluster::node_looked(Node& node) {
  hold_election();
  if (&node == primary()) lag_.primary_at(node.report().at, home_.now());
  if (&node == primary() && node.report().primary) reigns(node.report());
  look_at_catalogue(node);
  if (!seal_) learn_secret();
  if (&node == primary() && node.report().history_fades && kept_history_of_ != node.report().origin) {
    kept_history_of_ = node.report().origin;
    tell_all(node, engine_->keep_history(node.report()), [] {});
  }
  check_freshness();
  release_waiting();
}

void Cluster::node_gone(Node& node) {
  // A server that hangs may still finish the writes it was given; its reads are wanted elsewhere now.
  if (node.health().state() == Health::State::down) node.cut(node.trouble(), &node == primary());
  hold_election();
  release_waiting();
}

void Cluster::hold_election() {
  std::vector<Claim> claims;
  claims.reserve(nodes_.size());
  for (const auto& node : nodes_)
    claims.push_back({node->health().state() != Health::State::down, node->known() ? &node->report() : nullptr});
  const int elected = elect(claims, primary_, newest_origin_, engine_->origins_are_timelines());
  if (elected == primary_ || elected < 0) return;  // without another the old one stays: it may come back
  Node* before = primary();
  primary_ = elected;
  reigns(primary()->report());
  ++counters_.elections;
  lag_.clear();
  lag_.primary_at(primary()->report().at, home_.now());
  guards_ready_ = false;
  learned_ = {};
  // What the old one was given and has not answered is not to be waited for.
  if (before) before->cut("another primary was promoted", false);
}

void Cluster::reigns(const Report& report) {
  reign_ = report;
  newest_origin_ = std::max(newest_origin_, report.origin);
}

// Parked until a node was looked at. Bounded by the number of calls at once.
void Cluster::wait_for_node(const JobPtr& job) {
  if (job->work.reply && job->work.reply.cancelled()) return answer(job, Fault(Fault::Kind::cancelled, "the caller is gone"));
  job->tried = 0;
  job->parked = true;
  waiting_.push_back(job);
}

void Cluster::release_waiting() {
  if (waiting_.empty() || !seal_ || !knows_) return;
  for (const JobPtr& job : std::exchange(waiting_, {})) {
    job->parked = false;
    if (!job->answered) route(job);
  }
}

// What a call is told that found no node.
std::string Cluster::nobody_for(const Job& job, milliseconds waited) const {
  std::string nodes;
  for (const auto& node : nodes_) nodes += (nodes.empty() ? "" : "; ") + node->name() + ": " + (node->trouble().empty() ? (node.get() == primary() ? "the primary" : node->report().primary ? "a primary that is out of date" : "a replica") : node->trouble());
  return std::string("no ") + (job.read || (!job.understood && !job.work.expects_write) ? "node to read from" : "primary to write to") + " was found for the database " + settings_.name + " within " +
         std::to_string(waited.count()) + " ms (" + nodes + ")";
}

// Twenty times a second: whoever is out of time is told so.
void Cluster::sweep() {
  for (auto& node : nodes_) node->sweep(settings_.statement);
  std::erase_if(transactions_, [](const auto& entry) { return !entry.second->busy && !entry.second->lease->link(); });
  const auto now = home_.now();
  const std::vector<JobPtr> all(jobs_.begin(), jobs_.end());
  for (const JobPtr& job : all) {
    if (job->answered) continue;
    if (now >= job->deadline) {
      const auto transaction = transaction_of(*job);
      const bool runs = transaction && transaction->busy;
      if (job->outcome)
        answer(job, std::move(*job->outcome));
      else if (job->may_have_run)
        answer(job, Fault(Fault::Kind::outcome_unknown, "the primary did not answer in time: the write may have happened or not; repeat it with the option 'key' to have it once"));
      else if (const auto waited = std::chrono::duration_cast<milliseconds>(job->deadline - job->arrived); job->parked)
        answer(job, Fault(Fault::Kind::deadline_exceeded, nobody_for(*job, waited)));
      else
        answer(job, Fault(Fault::Kind::deadline_exceeded, "the database " + settings_.name + " did not answer within " + std::to_string(waited.count()) + " ms" + (runs ? ", and the transaction is rolled back" : "") +
                                                              (job->work.options.own ? "" : "; give it more (timeout_ms), or have it do less")));
      if (runs) end_late(job->work.options.tx, "the time of a statement in it was up");
    } else if (job->parked && now - job->arrived >= settings_.failover) {
      answer(job, Fault(Fault::Kind::unavailable, nobody_for(*job, settings_.failover), {{"retry_after_ms", 1000}}));
    }
  }
  std::erase_if(waiting_, [](const JobPtr& job) { return job->answered; });
  sweep_timer_.start(milliseconds(50), [this] { sweep(); });
}

void Cluster::give_back(std::variant<std::shared_ptr<Node::Lease>, Failure>& leased) {
  if (auto* lease = std::get_if<std::shared_ptr<Node::Lease>>(&leased)) (*lease)->give(true);
}

Cluster::Told Cluster::told(const Trip::Arrived& arrived) {
  const auto* failure = std::get_if<Failure>(&arrived);
  return !failure ? Told::done : failure->kind == Failure::Kind::statement && failure->fault.kind() == Fault::Kind::sql_error ? Told::refused : Told::lost;
}

void Cluster::tell(Node& node, std::string text, Value params, UniqueFunction<void(Told)> then) {
  Trip trip;
  trip.kind = Trip::Kind::write;
  trip.statements.push_back({std::move(text), std::move(params)});
  trip.done = [then = std::move(then)](Trip::Arrived arrived) mutable { then(told(arrived)); };
  node.send(Link::Use::write, std::move(trip));
}

void Cluster::tell_all(Node& node, std::vector<Statement> statements, UniqueFunction<void()> then) {
  if (statements.empty()) return then();
  Statement first = std::move(statements.front());
  statements.erase(statements.begin());
  tell(node, std::move(first.text), std::move(first.params),
       [this, &node, rest = std::move(statements), then = std::move(then)](Told) mutable { tell_all(node, std::move(rest), std::move(then)); });
}

void Cluster::explain(std::string statement, Reply reply, ExplainDone done) {
  auto shared = std::make_shared<std::tuple<std::string, Reply, ExplainDone>>(std::move(statement), std::move(reply), std::move(done));
  on_home([this, shared] {
    when_known([this, shared] {
      auto& [statement, reply, done] = *shared;
      done(engine_->classify(statement), std::move(reply));
    });
  });
}

}  // namespace sluice::sql::cluster
