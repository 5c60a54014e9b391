// Leases in Redis: what every store must do, on the server that SLUICE_REDIS names (HOST:PORT). tests/integration/test_lock_redis.py
// starts one and runs this.

#include <cstdlib>
#include <filesystem>

#include "handlers/lock/redis/store.h"
#include "tests/handlers/lock/conformance.h"

namespace sluice::lock {
namespace {

class RedisWorld final : public World {
 public:
  RedisWorld() {
    const auto servers = redis::read_addresses("redis", std::string("redis://") + std::getenv("SLUICE_REDIS"));
    for (int i = 0; i < 2; ++i) gateways_[i] = std::make_unique<RedisStore>(loop_, servers.front(), RedisStore::Options{.file = folder() + "/gateway-" + std::to_string(i)});
  }
  ~RedisWorld() override {
    for (auto& gateway : gateways_) gateway.reset();
    loop_.discard();
  }
  LeaseStore& store(int gateway) override { return *gateways_[gateway]; }
  Loop& loop() override { return loop_; }

 private:
  static const std::string& folder() {
    static const std::string made = [] {
      std::string name = std::filesystem::temp_directory_path() / "sluice-redis-XXXXXX";
      return std::string(::mkdtemp(name.data()));
    }();
    return made;
  }
  Loop loop_;
  std::unique_ptr<RedisStore> gateways_[2];
};

INSTANTIATE_TEST_SUITE_P(Redis, LeaseStoreConformance, testing::Values([] { return std::make_unique<RedisWorld>(); }));

}  // namespace
}  // namespace sluice::lock
