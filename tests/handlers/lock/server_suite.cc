// Leases in a database server: what every store must do, on the one that SLUICE_SERVER names by its url.
// tests/integration/test_lock_postgres.py and test_lock_mariadb.py start one and run this.

#include <cstdlib>
#include <optional>

#include "handlers/lock/sql/store.h"
#include "handlers/sql/cluster/cluster.h"
#include "handlers/sql/mariadb/engine.h"
#include "handlers/sql/postgres/engine.h"
#include "handlers/sql/postgres/listener.h"
#include "tests/handlers/lock/conformance.h"

namespace sluice::lock {
namespace {

class ServerWorld final : public World {
 public:
  ServerWorld() {
    for (auto& gateway : gateways_) gateway.emplace(std::getenv("SLUICE_SERVER"), loop_, workers_);
  }
  ~ServerWorld() override {
    for (auto& gateway : gateways_) gateway.reset();
    loop_.discard();
  }
  LeaseStore& store(int gateway) override { return gateways_[gateway]->store; }
  Loop& loop() override { return loop_; }

 private:
  struct Gateway {
    Gateway(const std::string& url, Loop& loop, Workers& workers)
        : cluster(engine(url), settings(url), loop, workers), store(cluster, loop, {}, listener(url)) {
      cluster.start();
    }
    static std::unique_ptr<sql::Listener> listener(const std::string& url) {
      return is_mariadb(url) ? nullptr : std::make_unique<sql::postgres::PgListener>(url);
    }
    static bool is_mariadb(const std::string& url) { return url.starts_with("mariadb:"); }
    static std::unique_ptr<sql::cluster::Engine> engine(const std::string& url) {
      if (is_mariadb(url)) return std::make_unique<sql::mariadb::MariaDb>(sql::mariadb::read_url(url).login, sql::AnswerLimits{});
      return std::make_unique<sql::postgres::Postgres>(url, sql::AnswerLimits{});
    }
    static sql::cluster::Settings settings(const std::string& url) {
      sql::cluster::Settings settings;
      settings.name = "main";
      settings.hosts = is_mariadb(url) ? sql::mariadb::read_url(url).hosts : sql::postgres::Postgres::hosts(url);
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

INSTANTIATE_TEST_SUITE_P(Server, LeaseStoreConformance, testing::Values([] { return std::make_unique<ServerWorld>(); }));

}  // namespace
}  // namespace sluice::lock
