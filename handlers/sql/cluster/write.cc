// Cluster: what happens to a write. It is handed to a server once; only when it surely had no effect is it tried again.

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

namespace {
constexpr int kAttempts = 50;  // each after another look at the nodes
}

void Cluster::write(const JobPtr& job) {
  if (job->work.reply && job->work.reply.cancelled()) return answer(job, Fault(Fault::Kind::cancelled, "the caller is gone"));
  Node* node = primary();
  // One that is demoted stays in its place until another takes it.
  if (!node || node->health().state() == Health::State::down || !node->report().primary) return wait_for_node(job);
  if (!is_due_at(job, *node)) return;
  ++job->attempts;
  job->sent = Clock::now();
  if (job->transaction_life.count() > 0) return begin_on(job, *node);
  ++counters_.writes;
  // Several statements in one pipeline are one transaction only as long as none of them commits.
  const bool needs_begin = job->ends == Ends::perhaps && job->work.statements.size() > 1;
  if (!job->work.options.key.empty() || job->work.options.fence || needs_begin) return guarded(job, *node);
  Trip trip;
  trip.kind = Trip::Kind::write;
  trip.position = job->verdict.kind != Class::read;
  trip.party = job->party();
  trip.deadline = job->deadline;
  trip.statements = job->work.statements;
  trip.own = job->work.options.own;
  trip.read_committed = job->work.options.read_committed;
  trip.done = [this, job, node](Trip::Arrived arrived) { sent_write(job, *node, std::move(arrived)); };
  trip.sending = [job] { job->may_have_run = job->verdict.kind != Class::read; };  // until the server says otherwise
  job->opaque ? send_alone(job, *node, std::move(trip)) : node->send(Link::Use::write, std::move(trip));
}

// On a connection that nobody has after it: what it did to that, nobody knows.
void Cluster::send_alone(const JobPtr& job, Node& node, Trip trip) {
  auto shared = std::make_shared<Trip>(std::move(trip));
  node.lease(job->party(), job->deadline, [this, job, &node, shared](std::variant<std::shared_ptr<Node::Lease>, Failure> leased) {
    if (job->answered) return give_back(leased);
    if (auto* failure = std::get_if<Failure>(&leased)) return write_failed(job, node, std::move(*failure));
    job->lease = std::move(std::get<std::shared_ptr<Node::Lease>>(leased));  // closed when the call is answered
    Link* link = job->lease->link();
    if (!link) return write_failed(job, node, {Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection ended"), false});
    shared->sending();
    link->send(std::move(*shared));
  });
}

void Cluster::sent_write(const JobPtr& job, Node& node, Trip::Arrived arrived) {
  if (job->answered) return;
  if (auto* failure = std::get_if<Failure>(&arrived)) {
    name_statement(*failure, *job);
    return write_failed(job, node, std::move(*failure));
  }
  if (job->refused) engine_->remember(job->work.statements[0].text, job->verdict);
  answer_rows(job, node, std::move(std::get<Trip::Answer>(arrived)));
}

// Of several statements, which it was that failed. Behind so many of our own.
void Cluster::name_statement(Failure& failure, const Job& job, std::size_t own) {
  const std::size_t all = job.work.statements.size();
  if (all < 2 || failure.at < own || (failure.kind != Failure::Kind::statement && failure.kind != Failure::Kind::retryable)) return;
  failure.fault = of_statement(failure.at - own + 1, all, failure.fault);
}

// Also of the steps of a guarded write: what a key guards may be repeated whatever became of it.
void Cluster::write_failed(const JobPtr& job, Node& node, Failure failure) {
  job->lease.reset();
  const bool keyed = !job->work.options.key.empty();
  const bool changes = job->verdict.kind != Class::read;
  switch (failure.kind) {
    case Failure::Kind::statement:
    case Failure::Kind::shed:
    case Failure::Kind::retryable: return answer(job, std::move(failure.fault));
    case Failure::Kind::refused:  // a primary no more: nothing has happened
      node.look_soon();
      if (job->attempts > kAttempts || !node.report().primary) job->may_have_run = false;
      if (job->attempts > kAttempts) return answer(job, std::move(failure.fault));
      break;
    case Failure::Kind::starting: break;
    case Failure::Kind::lost:
      node.look_soon();
      if (failure.may_have_run && changes && !keyed)
        return answer(job, Fault(Fault::Kind::outcome_unknown, "the connection to " + node.name() + " ended before its answer came (" + failure.fault.message() +
                                                                   "): the write may have happened or not; repeat it with the option 'key' to have it once"));
      break;
  }
  job->may_have_run = false;
  ++counters_.retried;
  wait_for_node(job);
}

}  // namespace sluice::sql::cluster
