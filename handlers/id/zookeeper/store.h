#pragma once
// ZooKeeperStore: worker ids, gateways' marks, tags and sequences as a node each below ROOT/ids, changed only from the version
// that was read. Leases of worker ids end by the leader's clock; whether ids are unique hangs on the marks alone.

#include <memory>
#include <string>

#include "handlers/id/store.h"
#include "handlers/zookeeper/changes.h"
#include "handlers/zookeeper/path.h"
#include "handlers/zookeeper/session.h"

namespace sluice::id {

class ZooKeeperStore final : public Store {
 public:
  struct Options {
    std::chrono::milliseconds limit{2000};    // of an operation
    std::chrono::milliseconds session{3000};  // a server that is silent for two thirds of that is left for another
  };

  // Throws Fault (unavailable) when a host's name cannot be resolved.
  ZooKeeperStore(Loop& home, const zookeeper::Place& place, Options options);

  std::string_view backend() const override { return "zookeeper"; }
  void claim(Claim, UniqueFunction<void(Claimed)>) override;
  void extend(Extend, UniqueFunction<void(Extended)>) override;
  void release(Extend, UniqueFunction<void(Extended)>) override;
  void create(Tag, UniqueFunction<void(Creation)>) override;
  void reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)>) override;
  void sequence(std::string tag, UniqueFunction<void(Number)>) override;

 private:
  struct Claiming;

  void claim_of(std::shared_ptr<Claiming>);
  void keep(Extend, bool ends, UniqueFunction<void(Extended)>);

  zookeeper::Session session_;
  zookeeper::Changes changes_;
};

}  // namespace sluice::id
