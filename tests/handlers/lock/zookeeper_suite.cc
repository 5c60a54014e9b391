// Leases in ZooKeeper: what every store must do, on the servers that SLUICE_ZOOKEEPER names. tests/integration/test_lock_zookeeper.py
// starts them and runs this.

#include <cstdlib>
#include <optional>

#include "handlers/lock/zookeeper/store.h"
#include "tests/handlers/lock/conformance.h"

namespace sluice::lock {
namespace {

class ZooKeeperWorld final : public World {
 public:
  ZooKeeperWorld() {
    for (auto& gateway : gateways_)
      gateway.emplace(loop_, sluice::zookeeper::parse_place(std::getenv("SLUICE_ZOOKEEPER")), ZooKeeperStore::Options{});
  }
  ~ZooKeeperWorld() override {
    for (auto& gateway : gateways_) gateway.reset();
    loop_.discard();
  }
  LeaseStore& store(int gateway) override { return *gateways_[gateway]; }
  Loop& loop() override { return loop_; }
  milliseconds lateness() const override { return milliseconds(4000); }

 private:
  Loop loop_;
  std::optional<ZooKeeperStore> gateways_[2];
};

INSTANTIATE_TEST_SUITE_P(ZooKeeper, LeaseStoreConformance, testing::Values([] { return std::make_unique<ZooKeeperWorld>(); }));

}  // namespace
}  // namespace sluice::lock
