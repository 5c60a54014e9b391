#pragma once
// ZooKeeperStore: a node for each name, which says who holds it and until when by the leader's clock, and which is changed only
// from the version that was read. Why not the usual recipe of ephemeral nodes: docs/decisions/0003-locks-in-zookeeper.md.

#include <memory>
#include <string>
#include <vector>

#include "handlers/lock/lease_store.h"
#include "handlers/lock/zookeeper/record.h"
#include "handlers/zookeeper/changes.h"
#include "handlers/zookeeper/path.h"
#include "handlers/zookeeper/session.h"

namespace sluice::lock {

class ZooKeeperStore final : public LeaseStore {
 public:
  struct Options {
    std::int64_t epoch = 0;
    milliseconds limit{2000};         // of an operation
    milliseconds session{3000};       // a server that is silent for two thirds of that is left for another
    milliseconds forget{86'400'000};  // then the node of a free name goes
  };

  // Throws Fault (unavailable) when a host's name cannot be resolved.
  ZooKeeperStore(Loop& home, const sluice::zookeeper::Place& place, Options options);
  ~ZooKeeperStore() override;

  std::string_view backend() const override { return "zookeeper"; }
  void acquire(Acquire, UniqueFunction<void(Acquired)>) override;
  void undo(Acquire, UniqueFunction<void(Change)>) override;
  void release(Lease, UniqueFunction<void(Change)>) override;
  void renew(Lease, milliseconds ttl, UniqueFunction<void(Change)>) override;
  void force_release(std::string name, UniqueFunction<void(Listing)>) override;
  void inspect(std::string name, UniqueFunction<void(Listing)>) override;
  void list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)>) override;
  std::unique_ptr<Watch> watch(std::string name, UniqueFunction<void()> freed) override;

 private:
  struct Acquiring;
  struct Altering;
  struct Search;
  using View = sluice::zookeeper::Changes::View;
  using Age = sluice::zookeeper::Changes::Age;
  using Puts = std::vector<sluice::zookeeper::Changes::Put>;
  using Alter = UniqueFunction<bool(zookeeper::Record&, zookeeper::Time, Kept&)>;

  static std::string path(const std::string& name);
  void alter(const std::string& name, Alter, milliseconds ttl, UniqueFunction<void(Change)>);
  void search(std::shared_ptr<Search>);
  void purge();
  void purge_next(std::shared_ptr<std::vector<std::string>> nodes);

  const Options options_;
  sluice::zookeeper::Session session_;
  sluice::zookeeper::Changes changes_;
  Timer purge_timer_;
  std::int64_t releases_ = 0;
  const std::string instance_;  // of this process
};

}  // namespace sluice::lock
