// Cluster: what happens to a read.

#include <algorithm>

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLeastPatience{20};  // a replica is given at least that to catch up

std::uint64_t next_random(std::uint64_t& state) {  // splitmix64
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

bool Cluster::leaves_primary(Job& job) {
  if (job.work.options.level == Level::primary) return false;
  const Split now = split();
  if (now.shadow) {
    if (const int would = pick(job, job.wanted.has_value()); would >= 0 && job.shadow.empty()) {
      job.shadow = nodes_[static_cast<std::size_t>(would)]->name();
      ++counters_.shadowed;
    }
    return false;
  }
  return now.percent >= 100 || (now.percent > 0 && turn_++ % 100 < static_cast<std::uint64_t>(now.percent));
}

// A replica, or the primary when no replica fits and freshness is no question; kNobody.
int Cluster::pick(const Job& job, bool must_be_fresh) {
  candidates_.resize(nodes_.size());
  const auto now = home_.now();
  const auto& options = job.work.options;
  Demand demand;
  demand.must_be_fresh = must_be_fresh;
  demand.max_lag_ms = static_cast<double>(settings_.max_lag_ms);
  const bool bounded = options.level == Level::bounded;
  // What the primary did since it was last seen nobody knows: it counts as lag when the caller names a limit.
  const Node* first = primary();
  const double unseen = bounded && first ? std::chrono::duration<double, std::milli>(now - first->seen_at()).count() : 0;
  if (bounded && (demand.max_lag_ms == 0 || static_cast<double>(options.max_lag_ms) < demand.max_lag_ms)) demand.max_lag_ms = static_cast<double>(std::max<std::int64_t>(options.max_lag_ms, 1));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = *nodes_[i];
    Candidate& candidate = candidates_[i];
    candidate.primary = &node == first;
    // A second primary is not read from: it tells another history. Neither is a replica that followed an ended timeline past its end.
    const bool strays = !candidate.primary && first && node.known() &&
                        (node.report().primary || node.at().system != first->at().system || (engine_->origins_are_timelines() && node.report().origin != 0 && node.report().origin < reign_.origin && !reached(first->at(), node.at())));
    // The primary is what is left when nobody else will do: slow is better than not at all.
    const bool healthy = candidate.primary ? node.health().state() != Health::State::down : node.health().usable();
    candidate.usable = node.known() && healthy && !strays && !(job.tried >> i & 1);
    candidate.in_flight = node.load();
    candidate.latency_ms = node.health().latency_ms();
    candidate.weight = i < settings_.weights.size() ? settings_.weights[i] : 1;
    candidate.lag_ms = bounded ? std::max(unseen, lag_.behind_ms(node.at(), now)) : demand.max_lag_ms > 0 ? lag_of(node) : 0;
    candidate.fresh = !job.wanted || reached(node.at(), *job.wanted);
  }
  return choose(candidates_, demand, next_random(random_));
}

// Is what the call asks to see part of what the primary goes on with? If not, the call is answered, or waits until more is known.
bool Cluster::is_history(const JobPtr& job, const Node& first, bool primary_usable) {
  if (job->wanted->system != first.at().system) {
    answer(job, Fault(Fault::Kind::bad_arguments, "'after' is a token of another database system than " + settings_.name + " is now"));
    return false;
  }
  switch (engine_->judge(reign_, *job->wanted)) {
    case Judgement::kept: return true;
    case Judgement::lost:
      if (std::exchange(job->asked_latest, false)) {  // the primary that was asked is gone: no token of the caller's says this
        job->wanted = seal_->open(job->work.options.after);
        read(job);
      } else if (!primary_usable || first.seen_at() < job->arrived) {
        // Told only by a primary that was looked at since: its successor's writes are none of those that this one has heard of.
        wait_for_node(job);
      } else {
        tell_lost(job);
      }
      return false;
    case Judgement::unknown: break;
  }
  // A primary that is older than the token will hear of its successor, or the gateway will.
  if (!primary_usable || home_.now() - job->arrived < milliseconds(500))
    wait_for_node(job);
  else
    answer(job, Fault(Fault::Kind::unavailable, "the primary " + first.name() + " cannot tell whether it has this write: it belongs to another timeline than its own"));
  return false;
}

// Has the primary got it by now? If not, it was written through another gateway a moment ago, or the server was put back to an older state:
// its next look tells, for which the call waits.
bool Cluster::primary_has(const JobPtr& job, Node& first) {
  if (reached(first.at(), *job->wanted)) return true;
  if (first.asked_at() > job->arrived) {
    tell_lost(job);
  } else {
    first.look_soon();
    wait_for_node(job);
  }
  return false;
}

// Of what the primary is to run whatever it finds: a write, or a statement of a transaction.
bool Cluster::is_due_at(const JobPtr& job, Node& first) {
  return !job->wanted || job->wanted->empty() || (is_history(job, first, true) && primary_has(job, first));
}

void Cluster::read(const JobPtr& job) {
  if (job->work.reply && job->work.reply.cancelled()) return answer(job, Fault(Fault::Kind::cancelled, "the caller is gone"));
  Node* first = primary();
  const bool primary_usable = first && first->health().state() != Health::State::down && !(job->tried >> primary_ & 1);
  if (job->wanted && first && !job->wanted->empty() && !is_history(job, *first, primary_usable)) return;
  if (job->work.options.level == Level::latest && !job->asked_latest) return primary_usable ? ask_primary_position(job) : wait_for_node(job);
  auto to_primary = [&] {
    if (!primary_usable) return wait_for_node(job);
    if (job->wanted && !primary_has(job, *first)) return;
    ++counters_.primary_reads;
    send_read(job, *first, false);
  };
  if (!leaves_primary(*job)) return to_primary();
  if (const int fresh = pick(*job, true); fresh >= 0 && fresh != primary_) return send_read(job, *nodes_[static_cast<std::size_t>(fresh)], false);
  if (!job->wanted) return to_primary();
  if (!job->checked) {
    job->checked = true;
    if (!hopeless())
      if (const int likely = pick(*job, false); likely >= 0 && likely != primary_) return send_read(job, *nodes_[static_cast<std::size_t>(likely)], true);
  }
  if (!job->waited && !hopeless()) return wait_for_freshness(job);
  to_primary();
}

void Cluster::tell_lost(const JobPtr& job) {
  if (job->by_session && !sessions_.forget(job->work.options.session)) {  // whose write that was, nobody knows
    job->by_session = false;
    job->wanted.reset();
    return read(job);
  }
  answer(job, Fault(Fault::Kind::write_lost, "this write was lost in a failover: it was acknowledged by a primary that is gone, and the database went on without it"));
}

// No replica is near enough for waiting to be of use.
bool Cluster::hopeless() const {
  const auto most = static_cast<double>(settings_.freshness.count());
  return std::ranges::none_of(nodes_, [&](const auto& node) {
    return node.get() != primary() && node->known() && node->health().usable() && !node->report().primary && lag_of(*node) <= most;
  });
}

void Cluster::send_read(const JobPtr& job, Node& node, bool check) {
  job->sent = Clock::now();
  ++job->attempts;
  if (job->opened) return send_cursor(job, node, check);
  Trip trip;
  trip.kind = Trip::Kind::read;
  trip.position = check;
  trip.party = job->party();
  trip.deadline = job->deadline;
  trip.statements = job->work.statements;  // kept: it may have to go elsewhere
  trip.done = [this, job, &node, check](Trip::Arrived arrived) { read_answered(job, node, check, std::move(arrived)); };
  ++counters_.reads;
  node.send(Link::Use::read, std::move(trip));
}

void Cluster::read_answered(const JobPtr& job, Node& node, bool check, Trip::Arrived arrived) {
  if (job->answered) return;
  if (auto* failure = std::get_if<Failure>(&arrived)) {
    switch (failure->kind) {
      case Failure::Kind::shed: return answer(job, std::move(failure->fault));
      case Failure::Kind::statement:
        if (!check) return answer(job, std::move(failure->fault));
        // It may only lack what the caller has written: a table, say. A node that is known to be fresh decides.
        --job->attempts;
        return read(job);
      case Failure::Kind::refused:
        // The net below the classifier: what a read-only server would not run is for the primary; from now on, once that has run it.
        ++counters_.refused;
        if (job->work.options.read_only) return refused_reader(job, node, std::move(*failure));
        job->verdict = {Class::primary, node.name() + " would not run it as a read: " + failure->fault.message(), true};
        job->refused = !failure->of_node;
        job->read = false;
        return route(job);
      case Failure::Kind::retryable:
      case Failure::Kind::starting:
      case Failure::Kind::lost: break;
    }
    ++counters_.retried;
    job->checked = false;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i].get() == &node) job->tried |= std::uint64_t{1} << i;
    if (failure->kind == Failure::Kind::retryable && &node == primary()) return answer(job, std::move(failure->fault));
    return read(job);
  }
  auto& rows = std::get<Trip::Answer>(arrived);
  if (check) {
    node.saw(rows.at, home_.now());
    if (!reached(rows.at, *job->wanted)) {
      --job->attempts;
      return read(job);
    }
  }
  answer_rows(job, node, std::move(rows));
}

// Who may only read is never sent on to where writes go.
void Cluster::refused_reader(const JobPtr& job, Node& node, Failure&& failure) {
  if (failure.writes) return answer(job, only_reads(node.name() + " would not run it as a read: " + failure.fault.message()));
  if (&node == primary()) return answer(job, std::move(failure.fault));
  job->work.options.level = Level::primary;
  read(job);
}

// Level::latest: whatever the primary had when the call came in. Those who ask at the same time share one question.
void Cluster::ask_primary_position(const JobPtr& job) {
  latest_.push_back(job);
  if (latest_.size() > 1) return;
  // Posted: the calls of this turn ask together, and none gets an answer that left before it came.
  home_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    auto asking = std::make_shared<std::vector<JobPtr>>(std::exchange(latest_, {}));
    Node* node = primary();
    Trip trip;
    trip.kind = Trip::Kind::read;
    trip.position = true;
    trip.done = [this, asking, node](Trip::Arrived arrived) {
      if (auto* answered = std::get_if<Trip::Answer>(&arrived)) {
        node->saw(answered->at, home_.now());
        lag_.primary_at(answered->at, home_.now());
        for (const JobPtr& job : *asking) job->asked_latest = true, job->wanted = answered->at;  // a token that is kept is before that
      }
      for (const JobPtr& job : *asking)
        if (!job->answered) job->asked_latest ? read(job) : wait_for_node(job);
    };
    node->send(Link::Use::read, std::move(trip));
  });
}

void Cluster::wait_for_freshness(const JobPtr& job) {
  job->waited = true;
  ++counters_.waited;
  const auto patience = std::clamp(milliseconds(static_cast<std::int64_t>(3 * apply_ms_)), kLeastPatience, settings_.freshness);
  stale_.emplace_back(job, std::min<Clock::time_point>(Clock::now() + patience, job->deadline));
  if (stale_.size() == 1) {
    poll_round_ = 0;
    poll_timer_.start(microseconds(250), [this] { poll_replicas(); });
  }
}

// One question at a time to each replica, for all who wait.
void Cluster::poll_replicas() {
  check_freshness();
  if (stale_.empty()) return;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[i];
    if (&node == primary() || !node.known() || !node.health().usable() || (polling_ >> i & 1)) continue;
    polling_ |= std::uint64_t{1} << i;
    Trip trip;
    trip.kind = Trip::Kind::read;
    trip.position = true;
    trip.done = [this, i](Trip::Arrived arrived) {
      polling_ &= ~(std::uint64_t{1} << i);
      if (auto* answered = std::get_if<Trip::Answer>(&arrived)) nodes_[i]->saw(answered->at, home_.now());
      check_freshness();
    };
    node.send(Link::Use::read, std::move(trip));
  }
  constexpr microseconds kRounds[] = {microseconds(250), microseconds(500), microseconds(1000), microseconds(2000)};
  poll_timer_.start(kRounds[std::min(++poll_round_, 3)], [this] { poll_replicas(); });
}

void Cluster::check_freshness() {
  if (stale_.empty()) return;
  const auto now = Clock::now();
  std::vector<JobPtr> ready;
  std::erase_if(stale_, [&](auto& waiting) {
    const JobPtr& job = waiting.first;
    const auto until = waiting.second;
    if (job->answered) return true;
    const bool fresh = std::ranges::any_of(nodes_, [&](const auto& node) { return node.get() != primary() && node->health().usable() && reached(node->at(), *job->wanted); });
    if (!fresh && now < until) return false;
    const double took = std::chrono::duration<double, std::milli>(now - job->arrived).count();
    apply_ms_ = apply_ms_ * 0.95 + 0.05 * std::min(took, static_cast<double>(settings_.freshness.count()));
    ready.push_back(job);
    return true;
  });
  for (const JobPtr& job : ready) read(job);
}

}  // namespace sluice::sql::cluster
