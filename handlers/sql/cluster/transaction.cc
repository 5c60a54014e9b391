#include "handlers/sql/cluster/transaction.h"

#include <algorithm>

#include "handlers/sql/handle.h"

namespace sluice::sql::cluster {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds kDefaultLife{30'000};

Fault not_open(const std::string& handle) {
  return Fault(Fault::Kind::conflict, "no open transaction has the handle " + describe(Value(handle)).substr(7) + "; it was ended, or rolled back because it took too long or its connection was lost");
}

}  // namespace

void Cluster::begin(Work work) {
  auto job = std::make_shared<Job>(std::move(work));
  on_home([this, job] {
    job->work.expects_write = true;
    const auto life = job->work.options.timeout_ms;
    job->work.options.timeout_ms = 0;  // it is the transaction's, not this call's
    job->at = jobs_.insert(jobs_.end(), job);
    job->deadline = job->arrived + (life > 0 ? std::min(milliseconds(life), settings_.statement) : settings_.statement);
    if (milliseconds(life) > settings_.longest_transaction)
      return answer(job, longer_than(settings_.longest_transaction, milliseconds(life)));
    if (auto fault = above_share(*job)) return answer(job, std::move(*fault));
    job->transaction_life = life > 0 ? milliseconds(life) : std::min(kDefaultLife, settings_.longest_transaction);
    seal_ ? route(job) : wait_for_node(job);
  });
}

std::optional<Fault> Cluster::above_share(const Job& job) const {
  const std::string& caller = job.work.options.caller;
  const auto own = static_cast<std::size_t>(std::ranges::count_if(transactions_, [&](const auto& entry) { return entry.second->owner == caller; }));
  if (caller.empty() || own < share_of(settings_.node.leases)) return std::nullopt;
  return Fault(Fault::Kind::overloaded, caller + " has " + std::to_string(own) + " transactions open, the most that one caller may of the " + std::to_string(settings_.node.leases) + " connections for them (leases); end some");
}

void Cluster::begin_on(const JobPtr& job, Node& node) {
  node.lease(job->party(), job->deadline, [this, job, &node](std::variant<std::shared_ptr<Node::Lease>, Failure> leased) {
    if (job->answered) return give_back(leased);
    if (auto* failure = std::get_if<Failure>(&leased)) return write_failed(job, node, std::move(*failure));
    job->lease = std::move(std::get<std::shared_ptr<Node::Lease>>(leased));
    held(job, node, {{engine_->texts().begin, {}}}, false, [this, job, &node](Trip::Answer) {
      if (auto fault = above_share(*job)) return answer(job, std::move(*fault));  // of many that began at once
      auto transaction = std::make_shared<Transaction>(std::move(job->lease), job->work.options.caller, home_);
      transaction->session = job->work.options.session;
      const std::string handle = new_handle();
      transaction->late.start(job->transaction_life, [this, handle] { end_late(handle, "the transaction's time was up"); });
      transactions_.emplace(handle, std::move(transaction));
      Result result;
      result.token = handle;
      result.route = route_of(*job, node);
      answer(job, std::move(result));
    });
  });
}

// The connection is closed, which rolls back whatever it was at.
void Cluster::forget_transaction(const std::string& handle) { transactions_.erase(handle); }

// A statement that still runs is stopped: it holds on to the transaction.
void Cluster::end_late(const std::string& handle, const std::string& why) {
  const auto found = transactions_.find(handle);
  if (found == transactions_.end()) return;
  const auto transaction = found->second;
  transactions_.erase(found);
  transaction->lease->stop(why);
}

std::shared_ptr<Cluster::Transaction> Cluster::transaction_of(const Job& job) const {
  auto found = transactions_.find(job.work.options.tx);
  return found == transactions_.end() || found->second->owner != job.work.options.caller ? nullptr : found->second;
}

void Cluster::run_in_transaction(const JobPtr& job) {
  const std::string& handle = job->work.options.tx;
  auto transaction = transaction_of(*job);
  if (!transaction) return answer(job, not_open(handle));
  if (transaction->busy) return answer(job, Fault(Fault::Kind::conflict, "a statement of this transaction is running; wait for its answer"));
  if (transaction->failed) return answer(job, Fault(Fault::Kind::conflict, "this transaction has failed and takes only sql.rollback: " + transaction->why));
  if (Node* first = primary(); first && !is_due_at(job, *first)) return;
  if (const auto& session = job->work.options.session; !session.empty()) {
    if (!transaction->session.empty() && session != transaction->session)
      return answer(job, Fault(Fault::Kind::bad_arguments, "'session' must be the one of the transaction, " + describe(Value(transaction->session)).substr(7) + ", or none, not " + describe(Value(session)).substr(7)));
    transaction->session = session;
  }
  transaction->busy = true;
  const auto& fence = job->work.options.fence;
  if (!fence || guards_ready_) return send_in_transaction(job, transaction);
  create_guards(transaction->lease->node(), [this, job, transaction] {
    if (job->answered) return;  // its time was up, and with it the transaction's
    send_in_transaction(job, transaction);
  });
}

void Cluster::send_in_transaction(const JobPtr& job, const std::shared_ptr<Transaction>& transaction) {
  Link* link = transaction->lease->link();
  if (!link) {
    forget_transaction(job->work.options.tx);
    return answer(job, not_open(job->work.options.tx));
  }
  transaction->defines |= job->defines;
  transaction->opaque |= job->opaque;
  job->sent = Clock::now();
  job->attempts = 1;
  Trip trip;
  trip.kind = Trip::Kind::held;
  trip.statements = job->work.statements;
  if (const auto& fence = job->work.options.fence) {
    const auto& texts = engine_->texts();
    const Statement checks[] = {{texts.raise_fence, Value::Array{fence->lock, fence->token}}, {texts.read_fence, Value::Array{fence->lock}}};
    trip.statements.insert(trip.statements.begin(), std::begin(checks), std::end(checks));
  }
  Node& node = transaction->lease->node();
  trip.done = [this, job, transaction, &node](Trip::Arrived arrived) {
    transaction->busy = false;
    if (auto* failure = std::get_if<Failure>(&arrived)) {
      name_statement(*failure, *job, job->work.options.fence ? 2 : 0);
      if (job->work.options.fence) guards_ready_ = false;  // it may be that its table is gone
      const bool over = failure->kind == Failure::Kind::lost || failure->kind == Failure::Kind::retryable;
      transaction->failed = over || failure->ended || engine_->texts().failure_ends_transaction;
      transaction->why = failure->fault.message();
      if (failure->kind == Failure::Kind::lost) forget_transaction(job->work.options.tx);
      if (failure->kind == Failure::Kind::lost)
        failure->fault = Fault(Fault::Kind::unavailable, "the connection of this transaction was lost, and with it all that it did: " + transaction->why);
      return answer(job, std::move(failure->fault));
    }
    auto& rows = std::get<Trip::Answer>(arrived);
    if (job->work.options.fence) {
      if (rows.rows[0].affected == 0) {
        transaction->failed = true;
        transaction->why = "its fencing token is stale";
        return answer(job, stale(*job->work.options.fence, fence_seen(rows.rows[1])));
      }
      rows.rows.erase(rows.rows.begin(), rows.rows.begin() + 2);
    }
    answer_rows(job, node, std::move(rows));
  };
  link->send(std::move(trip));
}

void Cluster::commit(Work work) {
  auto job = std::make_shared<Job>(std::move(work));
  on_home([this, job] { end_transaction(job, true); });
}

void Cluster::rollback(Work work) {
  auto job = std::make_shared<Job>(std::move(work));
  on_home([this, job] { end_transaction(job, false); });
}

void Cluster::end_transaction(const JobPtr& job, bool commit) {
  job->at = jobs_.insert(jobs_.end(), job);
  job->deadline = job->arrived + settings_.statement;
  job->verdict = {Class::write, commit ? "a commit" : "a rollback"};
  const std::string handle = job->work.options.tx;
  auto transaction = transaction_of(*job);
  if (!transaction) return answer(job, not_open(handle));
  if (transaction->busy) return answer(job, Fault(Fault::Kind::conflict, "a statement of this transaction is running; wait for its answer"));
  transactions_.erase(handle);
  transaction->late.stop();
  Link* link = transaction->lease->link();
  if (!link) return answer(job, not_open(handle));
  const bool failed = transaction->failed;
  job->defines = transaction->defines;
  job->sent = Clock::now();
  job->attempts = 1;
  job->may_have_run = commit && !failed;
  Trip trip;
  trip.kind = Trip::Kind::held;
  trip.position = commit && !failed;
  trip.statements.push_back({commit && !failed ? engine_->texts().commit : engine_->texts().rollback, {}});
  Node& node = transaction->lease->node();
  trip.done = [this, job, transaction, &node, commit, failed](Trip::Arrived arrived) {
    if (auto* failure = std::get_if<Failure>(&arrived)) {
      if (!commit) return answer(job, Result{});  // gone with its connection: rolled back
      if (failure->kind == Failure::Kind::lost && !failed)
        return answer(job, Fault(Fault::Kind::outcome_unknown, "the connection to " + node.name() + " ended before it answered the commit: the transaction may have been kept or not"));
      return answer(job, std::move(failure->fault));
    }
    transaction->lease->give(!transaction->opaque);
    if (commit && failed) return answer(job, Fault(Fault::Kind::conflict, "the transaction had failed and was rolled back: " + transaction->why));
    job->work.options.session = transaction->session;
    answer_rows(job, node, std::move(std::get<Trip::Answer>(arrived)));
  };
  link->send(std::move(trip));
}

}  // namespace sluice::sql::cluster
