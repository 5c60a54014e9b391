// Cluster: what statements alone do not show (users' functions and views) is learned from the database: before the first is judged, every
// few seconds, and at once after a statement that came this way and may have changed it.

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

namespace {
constexpr std::chrono::seconds kLearnEvery{2};        // what others have defined since
constexpr std::chrono::milliseconds kPatience{1000};  // of who asks what a statement is while no node answers
}  // namespace

// While there is no primary, a replica tells as well.
void Cluster::look_at_catalogue(Node& node) {
  const bool due = &node == primary() ? home_.now() - learned_ > kLearnEvery : !primary() && !knows_;
  if (due && !learning_) learn(&node, {});
}

void Cluster::learn(Node* node, UniqueFunction<void()> then) {
  if (then) to_learn_.push_back(std::move(then));
  if (learning_) return;  // it may have looked too early: once more when its answer is there
  auto asked = std::exchange(to_learn_, {});
  auto trip = node ? engine_->learn() : std::nullopt;
  if (node && node == primary()) learned_ = home_.now();
  if (!trip) return learned(node, node != nullptr, std::move(asked));
  learning_ = true;
  trip->own = true;
  trip->done = [this, node, asked = std::move(asked), engines = std::move(trip->done)](Trip::Arrived arrived) mutable {
    const auto* failure = std::get_if<Failure>(&arrived);
    const bool told = !failure || failure->kind == Failure::Kind::statement;  // or the server will not
    engines(std::move(arrived));
    learned(node, told, std::move(asked));
  };
  node->send(Link::Use::read, std::move(*trip));
}

void Cluster::learned(const Node* node, bool told, std::vector<UniqueFunction<void()>> asked) {
  learning_ = false;
  if (!told) {
    if (node == primary()) learned_ = {};  // at the next look, then
  } else if (!std::exchange(knows_, true)) {
    for (auto& then : std::exchange(unlearned_, {})) then();
    release_waiting();
  }
  for (auto& then : asked) then();
  if (!to_learn_.empty()) learn(primary(), {});
}

void Cluster::when_known(UniqueFunction<void()> then) {
  if (knows_ || unlearned_.size() >= settings_.waiting) return then();
  unlearned_.push_back(std::move(then));
  if (unlearned_.size() > 1) return;
  unlearned_timer_.start(kPatience, [this] {
    for (auto& late : std::exchange(unlearned_, {})) late();
  });
}

}  // namespace sluice::sql::cluster
