#include "handlers/id/zookeeper/store.h"

#include <algorithm>
#include <sstream>

namespace sluice::id {
namespace {

using zookeeper::Changes;
using zookeeper::Node;
using zookeeper::node_name;
using Puts = std::vector<Changes::Put>;

// What the nodes say, each as one line of fields behind the number of the format.
struct Space {
  std::int64_t workers = 0;  // that have a node
  std::string layout;
};
struct Worker {
  std::int64_t epoch = 0, mark = 0, expires = 0;
  std::string instance, gateway;
};
struct Row {
  std::int64_t next = 0, step = 0, delta = 0;
};

Fault strange(const std::string& what) {
  return Fault(Fault::Kind::internal,
               "the node of " + what + " in ZooKeeper is none of ours; another root (id.backend) is needed, or it must be deleted");
}

// An empty node was just made, and says nothing yet.
std::optional<std::istringstream> opened(const Node& node, const std::string& what) {
  if (!node.exists || node.data.empty()) return std::nullopt;
  std::istringstream in(node.data);
  int format = 0;
  if (!(in >> format) || format != 1) throw strange(what);
  return in;
}

std::optional<Space> space_of(const Node& node, const std::string& name) {
  auto in = opened(node, "the space '" + name + "'");
  if (!in) return std::nullopt;
  Space space;
  if (!(*in >> space.workers) || !std::getline(*in >> std::ws, space.layout)) throw strange("the space '" + name + "'");
  return space;
}

Worker worker_of(const Node& node) {
  Worker worker;
  auto in = opened(node, "a worker id");
  if (in && !(*in >> worker.epoch >> worker.mark >> worker.expires >> worker.instance >> worker.gateway)) throw strange("a worker id");
  return worker;
}

std::int64_t number_of(const Node& node, const std::string& what) {
  std::int64_t number = 0;
  auto in = opened(node, what);
  if (in && !(*in >> number)) throw strange(what);
  return number;
}

std::optional<Row> row_of(const Node& node, const std::string& tag) {
  auto in = opened(node, "the tag " + tag);
  if (!in) return std::nullopt;
  Row row;
  if (!(*in >> row.next >> row.step >> row.delta)) throw strange("the tag " + tag);
  return row;
}

template <class... Field>
std::string line(const Field&... fields) {
  std::ostringstream out;
  out << 1;
  ((out << ' ' << fields), ...);
  return out.str();
}

std::string line(const Worker& worker) { return line(worker.epoch, worker.mark, worker.expires, worker.instance, worker.gateway); }

std::string space_path(const std::string& space) { return "ids/spaces/" + node_name(space); }
std::string worker_path(const std::string& space, std::int64_t worker) {
  return "ids/workers/" + node_name(space) + "/" + std::to_string(worker);
}
std::string gateway_path(const std::string& space, const std::string& gateway) {
  return "ids/gateways/" + node_name(space) + "/" + node_name(gateway);
}
std::string tag_path(const std::string& tag) { return "ids/tags/" + node_name(tag); }

// One change whose outcome is laid down by `decide`, and told when it is durable.
template <class Outcome, class Decide>
void change(Changes& changes, std::vector<std::string> paths, Decide decide, UniqueFunction<void(Outcome)> done) {
  auto outcome = std::make_shared<Outcome>(Fault(Fault::Kind::internal, "nothing was decided; this is a bug of the gateway's"));
  auto deciding = [outcome, decide = std::move(decide)](const Changes::View& view) -> Puts {
    try {
      return decide(view, *outcome);
    } catch (const Fault& fault) {
      *outcome = fault;
      return {};
    }
  };
  changes.run(std::move(paths), std::move(deciding), [outcome, done = std::move(done)](Changes::Done end) mutable {
    if (end.fault) return done(std::move(*end.fault));
    done(std::move(*outcome));
  });
}

}  // namespace

ZooKeeperStore::ZooKeeperStore(Loop& home, const zookeeper::Place& place, Options options)
    : session_(home, place.hosts, options.session), changes_(home, session_, place.root, options.limit) {}

struct ZooKeeperStore::Claiming {
  Claim claim;
  UniqueFunction<void(Claimed)> done;
  std::int64_t workers = 0;  // that had a node when they were counted last
  bool more = false;         // there are others
};

void ZooKeeperStore::claim(Claim claim, UniqueFunction<void(Claimed)> done) {
  auto it = std::make_shared<Claiming>();
  it->claim = std::move(claim);
  it->done = std::move(done);
  claim_of(std::move(it));
}

// With as many workers as are believed to be there, and the next one; if there are more, once again with all of them.
void ZooKeeperStore::claim_of(std::shared_ptr<Claiming> it) {
  const Claim& claim = it->claim;
  std::vector<std::string> paths{space_path(claim.space), gateway_path(claim.space, claim.gateway)};
  const std::int64_t looked_at = std::min(it->workers + 1, claim.workers);
  for (std::int64_t worker = 0; worker < looked_at; ++worker) paths.push_back(worker_path(claim.space, worker));
  auto decide = [it, looked_at](const Changes::View& view, Claimed& outcome) -> Puts {
    const Claim& claim = it->claim;
    Space space = space_of(view.nodes[0], claim.space).value_or(Space{0, claim.layout});
    if (space.layout != claim.layout) throw another_layout(claim, space.layout);
    it->workers = space.workers;
    it->more = looked_at < std::min(space.workers + 1, claim.workers);
    if (it->more) return {};
    const std::int64_t marked = number_of(view.nodes[1], "the gateway '" + claim.gateway + "'");
    std::int64_t soonest = claim.lease_ms;
    for (std::int64_t i = 0; i < looked_at; ++i) {
      Worker worker = worker_of(view.nodes[static_cast<std::size_t>(i) + 2]);
      const bool mine = worker.instance == claim.instance;  // claimed already, and the answer was lost
      soonest = std::min(soonest, worker.expires - view.earliest_ms);
      if (!mine && worker.expires > view.earliest_ms) continue;
      if (!mine) {
        ++worker.epoch;
        worker.mark = std::max({claim.floor_ms, worker.mark, marked}) + claim.window_ms;
        worker.expires = view.latest_ms + claim.lease_ms;
        worker.instance = claim.instance;
        worker.gateway = node_name(claim.gateway);
      }
      outcome = Tenure{i, worker.epoch, worker.mark - claim.window_ms, worker.mark};
      if (mine) return {};
      space.workers = std::max(space.workers, i + 1);
      return {{0, line(space.workers, space.layout)},
              {1, line(std::max(marked, worker.mark))},
              {static_cast<std::size_t>(i) + 2, line(worker)}};
    }
    outcome = Exhausted{std::max<std::int64_t>(soonest, 1)};
    return {};
  };
  change<Claimed>(changes_, std::move(paths), std::move(decide), [this, it](Claimed outcome) {
    if (std::exchange(it->more, false)) return claim_of(it);
    it->done(std::move(outcome));
  });
}

void ZooKeeperStore::keep(Extend extend, bool ends, UniqueFunction<void(Extended)> done) {
  std::vector<std::string> paths{worker_path(extend.space, extend.worker), gateway_path(extend.space, extend.gateway)};
  auto decide = [extend = std::move(extend), ends](const Changes::View& view, Extended& outcome) -> Puts {
    Worker worker = worker_of(view.nodes[0]);
    outcome = Kept{worker.epoch == extend.epoch && worker.instance == extend.instance};
    if (!std::get<Kept>(outcome).kept) return {};
    const std::int64_t marked = number_of(view.nodes[1], "the gateway '" + extend.gateway + "'"), before = worker.mark;
    worker.mark = ends ? std::min(worker.mark, extend.mark_ms) : std::max(worker.mark, extend.mark_ms);
    worker.expires = ends ? 0 : view.latest_ms + extend.lease_ms;
    // What this worker raised the gateway's mark to comes down with it; another's, of the same name, stays.
    const std::int64_t mark = ends && marked == before ? worker.mark : std::max(marked, worker.mark);
    Puts puts{{0, line(worker)}};
    if (mark != marked) puts.push_back({1, line(mark)});
    return puts;
  };
  change<Extended>(changes_, std::move(paths), std::move(decide), std::move(done));
}

void ZooKeeperStore::extend(Extend extend, UniqueFunction<void(Extended)> done) { keep(std::move(extend), false, std::move(done)); }
void ZooKeeperStore::release(Extend extend, UniqueFunction<void(Extended)> done) { keep(std::move(extend), true, std::move(done)); }

void ZooKeeperStore::create(Tag tag, UniqueFunction<void(Creation)> done) {
  const std::string path = tag_path(tag.name);
  auto decide = [tag = std::move(tag)](const Changes::View& view, Creation& outcome) -> Puts {
    if (const auto row = row_of(view.nodes[0], tag.name)) {
      outcome = Created{false, {tag.name, row->next, row->step, row->delta}};
      return {};
    }
    outcome = Created{true, tag};
    return {{0, line(tag.start, tag.step, tag.delta)}};
  };
  change<Creation>(changes_, {path}, std::move(decide), std::move(done));
}

void ZooKeeperStore::reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)> done) {
  const std::string path = tag_path(tag);
  auto decide = [tag = std::move(tag), count](const Changes::View& view, Reserved& outcome) -> Puts {
    const auto row = row_of(view.nodes[0], tag);
    if (!row) throw unknown_tag(tag);
    const std::int64_t numbers = count == 0 ? row->step : count;
    std::int64_t span = 0, next = 0;
    if (__builtin_mul_overflow(numbers, row->delta, &span) || __builtin_add_overflow(row->next, span, &next))
      throw spent_tag(tag, row->next);
    outcome = Segment{row->next, numbers, row->delta, row->step};
    return {{0, line(next, row->step, row->delta)}};
  };
  change<Reserved>(changes_, {path}, std::move(decide), std::move(done));
}

void ZooKeeperStore::sequence(std::string tag, UniqueFunction<void(Number)> done) {
  auto decide = [tag](const Changes::View& view, Number& outcome) -> Puts {
    const std::int64_t next = number_of(view.nodes[0], "the sequence " + tag) + 1;
    outcome = next;
    return {{0, line(next)}};
  };
  change<Number>(changes_, {"ids/sequences/" + node_name(tag)}, std::move(decide), std::move(done));
}

}  // namespace sluice::id
