// Cluster: what sql.topology shows.

#include "handlers/sql/cluster/cluster.h"

namespace sluice::sql::cluster {

void Cluster::status(UniqueFunction<void(Value::Struct)> done) {
  auto shared = std::make_shared<UniqueFunction<void(Value::Struct)>>(std::move(done));
  on_home([this, shared] {
    constexpr std::string_view kStates[] = {"down", "up", "ejected", "trial"};
    std::uint64_t all_reads = 0;
    for (const auto& node : nodes_) all_reads += node->calls(Link::Use::read);
    Value::Array nodes;
    for (const auto& node : nodes_) {
      const bool is_primary = node.get() == primary() && node->report().primary;
      const std::uint64_t reads = node->calls(Link::Use::read);
      nodes.emplace_back(Value::Struct{
          {"node", node->name()},
          {"role", is_primary ? "primary" : !node->known() || node->health().state() == Health::State::down ? "unknown" : node->report().primary ? "refused primary" : "replica"},
          {"state", kStates[static_cast<std::size_t>(node->health().state())]},
          {"trouble", node->trouble()},
          {"position", seal_ && !node->at().empty() ? seal_->close(node->at()) : ""},
          {"lag_ms", is_primary ? 0.0 : lag_of(*node)},
          {"following", node->report().following},
          {"in_flight", node->in_flight()},
          {"waiting", node->waiting()},
          {"latency_ms", node->health().latency_ms()},
          {"ejections", node->health().ejections()},
          {"reads", reads},
          {"writes", node->calls(Link::Use::write)},
          {"leases", node->calls(Link::Use::lease)},
          {"share", all_reads ? static_cast<double>(reads) / static_cast<double>(all_reads) : 0.0},
          {"version", node->report().version},
      });
    }
    const Split now = split();
    (*shared)({
        {"database", settings_.name},
        {"dialect", dialect()},
        {"split", now.percent},
        {"shadow", now.shadow},
        {"nodes", std::move(nodes)},
        {"calls", jobs_.size()},
        {"waiting", waiting_.size()},
        {"transactions", transactions_.size()},
        {"elections", counters_.elections},
        {"refused_by_replicas", counters_.refused},
        {"retried", counters_.retried},
        {"waited_for_freshness", counters_.waited},
        {"reads_on_primary", counters_.primary_reads},
        {"shadowed", counters_.shadowed},
        {"apply_ms", apply_ms_},
    });
  });
}

}  // namespace sluice::sql::cluster
