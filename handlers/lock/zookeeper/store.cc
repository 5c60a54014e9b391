#include "handlers/lock/zookeeper/store.h"

#include <algorithm>
#include <random>

namespace sluice::lock {
namespace {

using sluice::zookeeper::Node;
using zookeeper::Record;
using zookeeper::Time;

constexpr std::size_t kHoldersTold = 1000;  // of one lock
constexpr std::size_t kReadAtOnce = 100;
constexpr milliseconds kBetweenPurges{3'600'000};
constexpr std::string_view kFolder = "locks";

// A server's clock may run a little faster than ours: what the holder may rely on ends a little earlier.
BootClock::time_point safe(BootClock::time_point from, milliseconds span) { return from + span - span / 100 - milliseconds(2); }

Time time_of(const sluice::zookeeper::Changes::View& view) { return {view.earliest_ms, view.latest_ms}; }

Record record_of(const Node& node, const std::string& path) {
  auto record = zookeeper::read(node.data, node.zxid);
  if (!record)
    throw Fault(Fault::Kind::internal,
                "the node " + path + " in ZooKeeper is no lock of ours; another root (lock.backend) is needed, or it must be deleted");
  return std::move(*record);
}

Lock told(const std::string& name, const Record& record, Time now) {
  Lock lock{name, record.newest.token, {}};
  for (const zookeeper::Lease& lease : record.leases) {
    if (lock.holders.size() == kHoldersTold) break;
    lock.holders.push_back({name, lease.owner, lease.mark.token, lease.slots, lease.count, milliseconds(zookeeper::remaining(lease, now)),
                            milliseconds(std::max<std::int64_t>(0, now.earliest - lease.granted))});
  }
  std::ranges::sort(lock.holders, {}, &Holder::remaining);
  return lock;
}

std::string random_text() {
  std::random_device random;
  return std::to_string(random()) + "." + std::to_string(random());
}

}  // namespace

ZooKeeperStore::ZooKeeperStore(Loop& home, const sluice::zookeeper::Place& place, Options options)
    : options_(options),
      session_(home, place.hosts, options.session),
      changes_(home, session_, place.root, options.limit),
      purge_timer_(home),
      instance_(random_text()) {
  purge_timer_.start(kBetweenPurges, [this] { purge(); });
}

ZooKeeperStore::~ZooKeeperStore() = default;

std::string ZooKeeperStore::path(const std::string& name) { return std::string(kFolder) + "/" + sluice::zookeeper::node_name(name); }

// What an acquire came to in its last attempt.
struct ZooKeeperStore::Acquiring {
  explicit Acquiring(Acquire acquire) : acquire(std::move(acquire)) {}
  const Acquire acquire;
  std::vector<Record> records;
  std::optional<Held> held;
  std::optional<Fault> fault;
  Time time{};
  BootClock::time_point decided;
};

void ZooKeeperStore::acquire(Acquire acquire, UniqueFunction<void(Acquired)> done) {
  std::vector<std::string> paths;
  for (const std::string& name : acquire.names) paths.push_back(path(name));
  auto it = std::make_shared<Acquiring>(std::move(acquire));
  auto decide = [this, it](const View& view) -> Puts {
    const Acquire& wanted = it->acquire;
    it->records.clear();
    it->held.reset();
    it->decided = view.now;
    it->time = time_of(view);
    try {
      for (std::size_t i = 0; i < view.nodes.size(); ++i)
        zookeeper::prune(it->records.emplace_back(record_of(view.nodes[i], path(wanted.names[i]))), it->time);
    } catch (const Fault& fault) {
      it->fault = fault;
      return {};
    }
    Puts puts;
    const bool blocked =
        std::ranges::any_of(it->records, [&](const Record& record) { return zookeeper::blocked(record, wanted, it->time); });
    if (blocked) it->held = zookeeper::judge(it->records, wanted, it->time);
    // A request that is repeated, and was granted, finds its nonce; nothing is to be done.
    auto granted_before = [&](const Record& record) {
      return std::ranges::any_of(record.leases,
                                 [&](const zookeeper::Lease& lease) { return lease.owner == wanted.owner && lease.nonce == wanted.nonce; });
    };
    if (!blocked && std::ranges::all_of(it->records, granted_before)) return {};
    for (std::size_t i = 0; i < it->records.size(); ++i) {
      Record& record = it->records[i];
      if (blocked && !zookeeper::intend(record, wanted, it->time)) continue;
      if (!blocked) zookeeper::grant(record, wanted, it->time, options_.epoch, view.nodes[i].zxid);
      puts.push_back({i, zookeeper::write(record)});
    }
    return puts;
  };
  const Age age = it->acquire.waits ? Age::any : Age::current;
  auto answer = [it, done = std::move(done)](sluice::zookeeper::Changes::Done outcome) mutable {
    if (outcome.fault) return done(std::move(*outcome.fault));
    if (it->fault) return done(std::move(*it->fault));
    if (it->held) return done(std::move(*it->held));
    std::vector<Grant> grants;
    for (std::size_t i = 0; i < it->records.size(); ++i) {
      zookeeper::fill(it->records[i], outcome.zxid);
      for (const zookeeper::Lease& lease : it->records[i].leases)
        if (lease.owner == it->acquire.owner)
          grants.push_back({it->acquire.names[i], lease.mark.token, lease.count,
                            safe(it->decided, milliseconds(std::min(lease.expires - it->time.latest, lease.ttl))), true});
    }
    done(std::move(grants));
  };
  changes_.run(std::move(paths), std::move(decide), std::move(answer), age);
}

// A write that is on its way may still come: it finds another version.
void ZooKeeperStore::undo(Acquire acquire, UniqueFunction<void(Change)> done) {
  std::vector<std::string> paths;
  for (const std::string& name : acquire.names) paths.push_back(path(name));
  auto fault = std::make_shared<std::optional<Fault>>();
  auto decide = [acquire = std::move(acquire), fault](const View& view) -> Puts {
    Puts puts;
    for (std::size_t i = 0; i < view.nodes.size(); ++i) {
      if (!view.nodes[i].exists) continue;
      try {
        Record record = record_of(view.nodes[i], path(acquire.names[i]));
        if (record.wanted_by == acquire.owner) record.wanted_until = 0;
        std::erase_if(record.leases, [&](const zookeeper::Lease& lease) {
          return lease.owner == acquire.owner && lease.nonce == acquire.nonce && lease.count == 1;
        });
        for (zookeeper::Lease& lease : record.leases)
          if (lease.owner == acquire.owner && lease.nonce == acquire.nonce) {
            --lease.count;
            lease.nonce.clear();
          }
        puts.push_back({i, zookeeper::write(record)});
      } catch (const Fault& wrong) {
        *fault = wrong;
        return {};
      }
    }
    return puts;
  };
  changes_.run(std::move(paths), std::move(decide), [fault, done = std::move(done)](sluice::zookeeper::Changes::Done outcome) mutable {
    if (outcome.fault) return done(std::move(*outcome.fault));
    if (*fault) return done(std::move(**fault));
    Kept kept;
    kept.ok = true;
    done(kept);
  });
}

struct ZooKeeperStore::Altering {
  std::optional<Fault> fault;
  Kept kept;
};

// One record, by a function that answers whether it is to be written.
void ZooKeeperStore::alter(const std::string& name, Alter change, milliseconds ttl, UniqueFunction<void(Change)> done) {
  auto it = std::make_shared<Altering>();
  auto decide = [it, ttl, at = path(name), change = std::move(change)](const View& view) mutable -> Puts {
    it->kept = {};
    try {
      Record record = record_of(view.nodes[0], at);
      const bool written = change(record, time_of(view), it->kept);
      it->kept.newest = record.newest.token;
      it->kept.until = safe(view.now, ttl);
      if (written) return Puts{{0, zookeeper::write(record)}};
    } catch (const Fault& fault) {
      it->fault = fault;
    }
    return {};
  };
  changes_.run({path(name)}, std::move(decide), [it, done = std::move(done)](sluice::zookeeper::Changes::Done outcome) mutable {
    if (outcome.fault) return done(std::move(*outcome.fault));
    if (it->fault) return done(std::move(*it->fault));
    done(it->kept);
  });
}

void ZooKeeperStore::release(Lease lease, UniqueFunction<void(Change)> done) {
  const std::string name = lease.name;
  auto change = [lease = std::move(lease), id = instance_ + "." + std::to_string(++releases_)](Record& record, Time now, Kept& kept) {
    zookeeper::Lease* held = zookeeper::find(record, lease);
    kept.count = held ? held->count : 0;
    kept.ok = record.change == id;  // it was done, and the answer was lost
    if (kept.ok || !held || held->expires <= now.earliest) return false;
    kept.ok = true;
    kept.count = --held->count;
    if (held->count == 0) record.leases.erase(record.leases.begin() + (held - record.leases.data()));
    record.change = id;
    return true;
  };
  alter(name, std::move(change), milliseconds(0), std::move(done));
}

void ZooKeeperStore::renew(Lease lease, milliseconds ttl, UniqueFunction<void(Change)> done) {
  const std::string name = lease.name;
  auto change = [lease = std::move(lease), ttl](Record& record, Time now, Kept& kept) {
    zookeeper::Lease* held = zookeeper::find(record, lease);
    if (!held || held->expires <= now.earliest) return false;
    held->expires = now.latest + ttl.count();
    held->ttl = ttl.count();
    kept.ok = true;
    kept.count = held->count;
    return true;
  };
  alter(name, std::move(change), ttl, std::move(done));
}

void ZooKeeperStore::force_release(std::string name, UniqueFunction<void(Listing)> done) {
  struct Forced {
    std::optional<Fault> fault;
    Lock lock;
    Record record;
  };
  auto it = std::make_shared<Forced>();
  auto decide = [this, it, name](const View& view) -> Puts {
    try {
      it->record = record_of(view.nodes[0], path(name));
    } catch (const Fault& fault) {
      it->fault = fault;
      return {};
    }
    zookeeper::prune(it->record, time_of(view));
    if (!view.in_doubt) it->lock = told(name, it->record, time_of(view));  // else they may be gone already
    it->record.leases.clear();
    it->record.newest = zookeeper::next(it->record, options_.epoch, view.nodes[0].zxid);
    return Puts{{0, zookeeper::write(it->record)}};
  };
  changes_.run({path(name)}, std::move(decide), [it, done = std::move(done)](sluice::zookeeper::Changes::Done outcome) mutable {
    if (outcome.fault) return done(std::move(*outcome.fault));
    if (it->fault) return done(std::move(*it->fault));
    zookeeper::fill(it->record, outcome.zxid);
    it->lock.newest = it->record.newest.token;
    done(std::vector{std::move(it->lock)});
  });
}

// Names that are looked at, some at a time.
struct ZooKeeperStore::Search {
  std::vector<std::string> names;  // sorted
  std::size_t at = 0, most = 1;
  bool held_only = false;
  std::vector<Lock> found;
  std::optional<Fault> fault;
  UniqueFunction<void(Listing)> done;
};

void ZooKeeperStore::search(std::shared_ptr<Search> it) {
  if (it->fault) return it->done(std::move(*it->fault));
  if (it->at == it->names.size() || it->most == 0) return it->done(std::move(it->found));
  const std::size_t first = it->at;
  it->at = std::min(it->names.size(), first + kReadAtOnce);
  std::vector<std::string> paths;
  for (std::size_t i = first; i < it->at; ++i) paths.push_back(path(it->names[i]));
  auto decide = [it, first, found = it->found.size(), most = it->most](const View& view) -> Puts {
    it->found.resize(found);  // of an earlier attempt
    it->most = most;
    for (std::size_t i = 0; i < view.nodes.size() && it->most > 0; ++i) {
      const std::string& name = it->names[first + i];
      try {
        Record record = record_of(view.nodes[i], path(name));
        zookeeper::prune(record, time_of(view));
        Lock lock = told(name, record, time_of(view));
        if (it->held_only && lock.holders.size() > it->most) lock.holders.resize(it->most);
        if (it->held_only && lock.holders.empty()) continue;
        if (it->held_only) it->most -= lock.holders.size();
        it->found.push_back(std::move(lock));
      } catch (const Fault& fault) {
        it->fault = fault;
      }
    }
    return {};
  };
  changes_.run(std::move(paths), std::move(decide), [this, it](sluice::zookeeper::Changes::Done outcome) {
    if (outcome.fault) return it->done(std::move(*outcome.fault));
    search(it);
  });
}

void ZooKeeperStore::inspect(std::string name, UniqueFunction<void(Listing)> done) {
  auto it = std::make_shared<Search>();
  it->names.push_back(std::move(name));
  it->done = std::move(done);
  search(std::move(it));
}

void ZooKeeperStore::list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)> done) {
  auto it = std::make_shared<Search>();
  it->most = most;
  it->held_only = true;
  it->done = std::move(done);
  changes_.children(std::string(kFolder), [this, it, prefix = std::move(prefix)](std::variant<std::vector<std::string>, Fault> answer) {
    if (auto* fault = std::get_if<Fault>(&answer)) return it->done(std::move(*fault));
    for (const std::string& node : std::get<std::vector<std::string>>(answer))
      if (auto name = sluice::zookeeper::plain_name(node); name && name->starts_with(prefix)) it->names.push_back(std::move(*name));
    std::ranges::sort(it->names);
    search(it);
  });
}

namespace {

class NodeWatch final : public LeaseStore::Watch {
 public:
  explicit NodeWatch(std::unique_ptr<sluice::zookeeper::Session::Watch> watch) : watch_(std::move(watch)) {}

 private:
  std::unique_ptr<sluice::zookeeper::Session::Watch> watch_;
};

}  // namespace

std::unique_ptr<LeaseStore::Watch> ZooKeeperStore::watch(std::string name, UniqueFunction<void()> freed) {
  return std::make_unique<NodeWatch>(session_.watch(changes_.full(path(name)), std::move(freed)));
}

// Tokens are numbers of writes, which only rise: a name that comes again needs nothing of what its node said.
void ZooKeeperStore::purge() {
  purge_timer_.start(kBetweenPurges, [this] { purge(); });
  changes_.children(std::string(kFolder), [this](std::variant<std::vector<std::string>, Fault> answer) {
    if (auto* nodes = std::get_if<std::vector<std::string>>(&answer))
      purge_next(std::make_shared<std::vector<std::string>>(std::move(*nodes)));
  });
}

void ZooKeeperStore::purge_next(std::shared_ptr<std::vector<std::string>> nodes) {
  if (nodes->empty()) return;
  const std::string node = std::move(nodes->back());
  nodes->pop_back();
  auto decide = [this](const View& view) -> Puts {
    const Node& node = view.nodes[0];
    auto record = zookeeper::read(node.data, node.zxid);
    if (!node.exists || !record || view.earliest_ms - node.mtime_ms < options_.forget.count()) return {};
    zookeeper::prune(*record, time_of(view));
    if (!record->leases.empty() || record->newest.token > first_token(options_.epoch) + node.zxid) return {};
    return Puts{{0, std::nullopt}};
  };
  // A fault leaves the node to the next purge.
  changes_.run(
      {std::string(kFolder) + "/" + node}, std::move(decide), [this, nodes](sluice::zookeeper::Changes::Done) { purge_next(nodes); },
      Age::any);
}

}  // namespace sluice::lock
