// Leases in Redis: what every store must do, on the servers that SLUICE_REDIS names (HOST:PORT, with commas): one master, or several
// that vote. tests/integration/test_lock_redis.py and test_lock_redlock.py start them and run this.

#include <cstdlib>
#include <filesystem>

#include "handlers/lock/redis/store.h"
#include "handlers/lock/redlock/store.h"
#include "tests/handlers/lock/conformance.h"

namespace sluice::lock {
namespace {

class RedisWorld final : public World {
 public:
  RedisWorld() {
    const auto servers = redis::look_up(redis::read_url("redlock", std::string("redlock://") + std::getenv("SLUICE_REDIS")));
    for (int i = 0; i < 2; ++i) {
      const std::string file = folder() + "/gateway-" + std::to_string(i);
      if (servers.size() == 1)
        gateways_[i] = std::make_unique<RedisStore>(loop_, servers.front(), RedisStore::Options{.file = file});
      else
        gateways_[i] = std::make_unique<RedlockStore>(loop_, servers, RedlockStore::Options{.file = file + "-"});
    }
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
  std::unique_ptr<LeaseStore> gateways_[2];
};

INSTANTIATE_TEST_SUITE_P(Redis, LeaseStoreConformance, testing::Values([] { return std::make_unique<RedisWorld>(); }));

}  // namespace
}  // namespace sluice::lock
