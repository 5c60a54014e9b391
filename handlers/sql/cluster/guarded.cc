// Cluster: writes with a key (done once, whoever repeats them) or a fence (refused when the lock was lost), and batches of which a statement
// might commit. Key and fence are rows of the database itself, changed in the transaction of the write, on a connection of its own:
//   BEGIN, claim the key, raise the fence -> the statements -> keep the reply under the key, COMMIT.
// Who comes second with a key waits at the claim until the first has committed or given up, and answers what that one answered.

#include "handlers/sql/cluster/cluster.h"
#include "handlers/sql/keys.h"

namespace sluice::sql::cluster {

bool Cluster::has_guards(const Job& job) { return !job.work.options.key.empty() || job.work.options.fence; }

void Cluster::guarded(const JobPtr& job, Node& node) {
  auto lease = [this, job, &node] {
    node.lease(job->party(), job->deadline, [this, job, &node](std::variant<std::shared_ptr<Node::Lease>, Failure> leased) {
      if (job->answered) return give_back(leased);
      if (auto* failure = std::get_if<Failure>(&leased)) return write_failed(job, node, std::move(*failure));
      job->lease = std::move(std::get<std::shared_ptr<Node::Lease>>(leased));
      guard(job, node);
    });
  };
  guards_ready_ || !has_guards(*job) ? lease() : create_guards(node, lease);
}

// What fails here shows when the tables are used.
void Cluster::create_guards(Node& node, UniqueFunction<void()> then) {
  std::vector<Statement> statements;
  for (const std::string& text : engine_->texts().create_keys) statements.push_back({text, {}});
  tell_all(node, std::move(statements), [this, then = std::move(then)]() mutable {
    guards_ready_ = true;
    then();
  });
}

// A step within the transaction. Any failure ends the whole; the connection is closed with what it left open.
void Cluster::held(const JobPtr& job, Node& node, std::vector<Statement> statements, bool position, UniqueFunction<void(Trip::Answer)> then) {
  Link* link = job->lease ? job->lease->link() : nullptr;
  if (!link) return write_failed(job, node, {Failure::Kind::lost, Fault(Fault::Kind::unavailable, "the connection ended"), false});
  Trip trip;
  trip.kind = Trip::Kind::held;
  trip.statements = std::move(statements);
  trip.position = position;
  // Only the last step commits: what fails before it has not happened.
  trip.done = [this, job, &node, commits = position, then = std::move(then)](Trip::Arrived arrived) mutable {
    if (job->answered) return;
    if (auto* failure = std::get_if<Failure>(&arrived)) {
      if (!commits) failure->may_have_run = false;
      if (!commits && job->guarded) name_statement(*failure, *job);
      // It may be that their tables were not made after all, or are gone: they are made anew, once.
      if (has_guards(*job) && !job->guarded && failure->kind == Failure::Kind::statement && std::exchange(guards_ready_, false) && job->attempts == 1) {
        job->lease.reset();
        return write(job);
      }
      return write_failed(job, node, std::move(*failure));
    }
    then(std::move(std::get<Trip::Answer>(arrived)));
  };
  link->send(std::move(trip));
}

void Cluster::guard(const JobPtr& job, Node& node) {
  const auto& texts = engine_->texts();
  const auto& options = job->work.options;
  std::vector<Statement> steps;
  steps.push_back({texts.begin, {}});
  if (!options.key.empty()) {
    keys_used_ = true;
    steps.push_back({texts.claim_key, Value::Array{stored_key(options), digest_of(job->work.statements)}});
  }
  if (options.fence) steps.push_back({texts.raise_fence, Value::Array{options.fence->lock, options.fence->token}});
  held(job, node, std::move(steps), false, [this, job, &node](Trip::Answer answered) { guard_answered(job, node, std::move(answered)); });
}

void Cluster::guard_answered(const JobPtr& job, Node& node, Trip::Answer guards) {
  const auto& options = job->work.options;
  std::size_t at = 1;
  if (!options.key.empty() && guards.rows[at++].affected == 0) return replay_key(job, node);
  if (options.fence && guards.rows[at].affected == 0) return refuse_fence(job, node);
  job->may_have_run = false;
  job->guarded = true;
  held(job, node, job->work.statements, false, [this, job, &node](Trip::Answer done) { finish_guarded(job, node, std::move(done.rows)); });
}

void Cluster::finish_guarded(const JobPtr& job, Node& node, std::vector<Rows> rows) {
  const auto& texts = engine_->texts();
  std::vector<Statement> steps;
  if (!job->work.options.key.empty()) steps.push_back({texts.finish_key, Value::Array{Bytes{freeze(rows)}, stored_key(job->work.options)}});
  steps.push_back({texts.commit, {}});
  job->may_have_run = job->work.options.key.empty();
  held(job, node, std::move(steps), true, [this, job, &node, rows = std::move(rows)](Trip::Answer committed) mutable {
    job->lease->give(!job->opaque);
    Trip::Answer answered;
    answered.rows = std::move(rows);
    answered.at = std::move(committed.at);
    answer_rows(job, node, std::move(answered));
  });
}

// The key was used before. The reply's token is the position of now: what was written then is before it.
void Cluster::replay_key(const JobPtr& job, Node& node) {
  const auto& texts = engine_->texts();
  std::vector<Statement> steps;
  steps.push_back({texts.read_key, Value::Array{stored_key(job->work.options)}});
  steps.push_back({texts.rollback, {}});
  held(job, node, std::move(steps), true, [this, job, &node](Trip::Answer found) {
    job->lease->give(true);
    const auto* row = found.rows[0].rows.empty() ? nullptr : found.rows[0].rows[0].get_if<Value::Array>();
    // Forgotten, or rolled back, just now: the key is free.
    if (!row || row->size() != 2) return write(job);
    if (!((*row)[0] == Value(digest_of(job->work.statements))))
      return answer(job, key_reused(job->work.options.key));
    if ((*row)[1].is_nil()) return answer(job, reply_not_kept(job->work.options.key));
    const auto* octets = (*row)[1].get_if<Bytes>();
    const auto* text = (*row)[1].get_if<std::string>();
    auto rows = thaw(octets ? std::string_view(octets->octets) : text ? std::string_view(*text) : std::string_view());
    if (!rows)
      return answer(job, Fault(Fault::Kind::internal, "the reply that is kept under the key " + describe(Value(job->work.options.key)).substr(7) + " cannot be read: table sluice_keys was changed by others"));
    Trip::Answer answered;
    answered.rows = std::move(*rows);
    answered.at = std::move(found.at);
    job->verdict.why = "the key was used before: the reply of that time";
    job->replayed = true;
    answer_rows(job, node, std::move(answered));
  });
}

void Cluster::refuse_fence(const JobPtr& job, Node& node) {
  const auto& texts = engine_->texts();
  std::vector<Statement> steps;
  steps.push_back({texts.read_fence, Value::Array{job->work.options.fence->lock}});
  steps.push_back({texts.rollback, {}});
  held(job, node, std::move(steps), false, [this, job](Trip::Answer found) {
    job->lease->give(true);
    answer(job, stale(*job->work.options.fence, fence_seen(found.rows[0])));
  });
}

std::int64_t Cluster::fence_seen(const Rows& rows) {
  const auto* row = rows.rows.empty() ? nullptr : rows.rows[0].get_if<Value::Array>();
  const auto* seen = row && !row->empty() ? (*row)[0].get_if<std::int64_t>() : nullptr;
  return seen ? *seen : 0;
}

void Cluster::drop_old_keys() {
  keys_timer_.start(std::chrono::minutes(10), [this] { drop_old_keys(); });
  if (Node* node = primary(); node && keys_used_ && settings_.keys_kept_s > 0)
    tell(*node, engine_->texts().drop_old_keys, Value::Array{settings_.keys_kept_s}, [](Told) {});
}

}  // namespace sluice::sql::cluster
