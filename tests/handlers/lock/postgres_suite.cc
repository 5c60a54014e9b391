// Leases in PostgreSQL: what every store must do, on the server that SLUICE_POSTGRES names. tests/integration/test_lock_postgres.py
// starts one and runs this.

#include <cstdlib>
#include <optional>

#include "handlers/lock/sql/store.h"
#include "handlers/sql/cluster/cluster.h"
#include "handlers/sql/postgres/engine.h"
#include "tests/handlers/lock/conformance.h"

namespace sluice::lock {
namespace {

class PostgresWorld final : public World {
 public:
  PostgresWorld() {
    for (auto& gateway : gateways_) gateway.emplace(std::getenv("SLUICE_POSTGRES"), loop_, workers_);
  }
  ~PostgresWorld() override {
    for (auto& gateway : gateways_) gateway.reset();
    loop_.discard();
  }
  LeaseStore& store(int gateway) override { return gateways_[gateway]->store; }
  Loop& loop() override { return loop_; }

 private:
  struct Gateway {
    Gateway(const std::string& url, Loop& loop, Workers& workers) : cluster(std::make_unique<sql::postgres::Postgres>(url, sql::cluster::AnswerLimits{}), settings(url), loop, workers), store(cluster, loop, {}) {
      cluster.start();
    }
    static sql::cluster::Settings settings(const std::string& url) {
      sql::cluster::Settings settings;
      settings.name = "main";
      settings.hosts = sql::postgres::Postgres::hosts(url);
      settings.fallback_secret = url;
      return settings;
    }
    sql::cluster::Cluster cluster;
    SqlStore store;
  };

  Loop loop_;
  Workers workers_{1};
  std::optional<Gateway> gateways_[2];
};

INSTANTIATE_TEST_SUITE_P(Postgres, LeaseStoreConformance, testing::Values([] { return std::make_unique<PostgresWorld>(); }));

}  // namespace
}  // namespace sluice::lock
