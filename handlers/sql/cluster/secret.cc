// Cluster: the secret that seals tokens is kept by the database itself, so that all of its gateways have it without being told. Any node can tell
// it; only the primary can be given one. A database that lets us keep nothing leaves what all gateways know anyway: how to log in. That is
// for its own no alone: of a question that was lost nobody knows what the other gateways heard, and it is asked again at the next look.

#include "handlers/sql/cluster/cluster.h"
#include "handlers/sql/handle.h"

namespace sluice::sql::cluster {

void Cluster::learn_secret() {
  Node* node = primary();
  if (!node)
    for (const auto& other : nodes_)
      if (!node && other->health().usable()) node = other.get();
  if (!node || learning_secret_) return;
  learning_secret_ = true;
  ask_secret(*node, [this, node](Secret found) {
    learning_secret_ = false;
    if (found == Secret::absent && node == primary()) leave_secret(*node);
  });
}

void Cluster::leave_secret(Node& node) {
  learning_secret_ = true;
  const auto& texts = engine_->texts();
  // Each a call of its own: what fails shows when the secret is offered.
  tell(node, texts.create_secret, {}, [this, &node, &texts](Told) {
    tell(node, texts.offer_secret, Value::Array{new_handle() + new_handle()}, [this, &node](Told offered) {
      ask_secret(node, [this, offered](Secret found) {
        learning_secret_ = false;
        if (found != Secret::absent || offered != Told::refused) return;
        seal_.emplace(settings_.fallback_secret);
        release_waiting();
      });
    });
  });
}

void Cluster::ask_secret(Node& node, UniqueFunction<void(Secret)> then) {
  Trip trip;
  trip.statements.push_back({engine_->texts().read_secret, {}});
  trip.done = [this, then = std::move(then)](Trip::Arrived arrived) mutable {
    const auto* answer = std::get_if<Trip::Answer>(&arrived);
    const auto* row = answer && !answer->rows[0].rows.empty() ? answer->rows[0].rows[0].get_if<Value::Array>() : nullptr;
    const auto* secret = row && !row->empty() ? (*row)[0].get_if<std::string>() : nullptr;
    if (secret && !seal_) seal_.emplace(*secret);
    then(secret ? Secret::known : answer || told(arrived) == Told::refused ? Secret::absent : Secret::unasked);
    if (secret) release_waiting();
  };
  node.send(Link::Use::read, std::move(trip));
}

}  // namespace sluice::sql::cluster
