// Leases in SQLite: what every store must do, with two gateways on one file, and what a reboot and a purge leave behind.

#include <unistd.h>

#include <filesystem>
#include <optional>

#include "handlers/lock/sql/store.h"
#include "handlers/sql/sqlite/backend.h"
#include "tests/handlers/lock/conformance.h"

namespace sluice::lock {
namespace {

class SqliteWorld final : public World {
 public:
  explicit SqliteWorld(SqlStore::Options options = {}) {
    for (auto& gateway : gateways_) gateway.emplace(file_, loop_, options);
  }
  ~SqliteWorld() override {
    for (auto& gateway : gateways_) gateway.reset();
    std::filesystem::remove_all(folder_);
  }
  LeaseStore& store(int gateway) override { return gateways_[gateway]->store; }
  Loop& loop() override { return loop_; }
  sql::Backend& database() { return gateways_[0]->database; }

 private:
  struct Gateway {
    Gateway(const std::string& file, Loop& loop, SqlStore::Options options)
        : database({.file = file, .readers = 1, .reads_waiting = 1000, .cursors = 1, .writer = {}}), store(database, loop, options) {}
    sql::sqlite::Sqlite database;
    SqlStore store;
  };
  static std::string fresh() {
    static int worlds = 0;
    return (std::filesystem::temp_directory_path() / ("sluice-lock-" + std::to_string(::getpid()) + "-" + std::to_string(++worlds))).string();
  }

  Loop loop_;
  std::string folder_ = fresh();
  std::string file_ = (std::filesystem::create_directories(folder_), folder_ + "/locks.db");
  std::optional<Gateway> gateways_[2];
};

INSTANTIATE_TEST_SUITE_P(Sqlite, LeaseStoreConformance, testing::Values([] { return std::make_unique<SqliteWorld>(); }));

}  // namespace
}  // namespace sluice::lock
