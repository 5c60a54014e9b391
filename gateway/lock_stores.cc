#include "gateway/lock_stores.h"

#include <stdexcept>

#include "handlers/lock/redis/store.h"
#include "handlers/lock/redlock/store.h"
#include "handlers/lock/sql/store.h"
#include "handlers/lock/zookeeper/store.h"
#include "handlers/sql/sqlite/backend.h"

namespace sluice {

LockStores::LockStores(const config::Settings& settings, Databases& databases, Loop& home) {
  auto add = [&](const std::string& space, const std::string& backend) {
    try {
      if (!stores_.emplace(space, make(backend, settings, databases, home)).second) throw std::runtime_error("stands there twice");
    } catch (const std::exception& problem) {
      throw std::runtime_error((space.empty() ? "lock.backend" : "lock.spaces '" + space + "'") + ": " + problem.what());
    }
  };
  add("", settings.lock_backend);
  for (const std::string& space : settings.lock_spaces) {
    const auto equals = space.find('=');
    if (equals == 0 || equals == space.npos) throw std::runtime_error("lock.spaces must hold NAME=BACKEND, not '" + space + "'");
    add(space.substr(0, equals), space.substr(equals + 1));
  }
}

// A store is one line.
std::unique_ptr<lock::LeaseStore> LockStores::make(const std::string& backend, const config::Settings& settings, Databases& databases, Loop& home) {
  lock::SqlStore::Options rows;
  rows.epoch = settings.lock_epoch;
  const std::string file = settings.lock_file.empty() ? main_file(settings) + "-locks" : settings.lock_file;
  if (backend == "sqlite") {
    sql::sqlite::Settings own = settings.sqlite;
    own.file = file;
    own.readers = 1;
    if (!file_) file_ = std::make_unique<sql::sqlite::Sqlite>(std::move(own));
    return std::make_unique<lock::SqlStore>(*file_, home, rows);
  }
  if (backend.starts_with("database:")) {
    sql::Backend* database = databases.find(backend.substr(9));
    if (!database) throw std::runtime_error("there is no [database." + backend.substr(9) + "]");
    return std::make_unique<lock::SqlStore>(*database, home, rows, listener_of(settings, backend.substr(9)));
  }
  if (backend.starts_with("redis://")) {
    const auto servers = redis::read_addresses("redis", backend);
    if (servers.size() != 1) throw std::runtime_error("redis:// takes one server");
    return std::make_unique<lock::RedisStore>(home, servers.front(), lock::RedisStore::Options{.file = file + "-redis-" + servers.front().label(), .epoch = settings.lock_epoch});
  }
  if (backend.starts_with("redlock://")) return std::make_unique<lock::RedlockStore>(home, redis::read_addresses("redlock", backend), lock::RedlockStore::Options{.file = file + "-redlock-", .epoch = settings.lock_epoch});
  if (backend.starts_with("zookeeper:")) return std::make_unique<lock::ZooKeeperStore>(home, zookeeper::parse_place(backend), lock::ZooKeeperStore::Options{.epoch = settings.lock_epoch});
  throw std::runtime_error("'" + backend.substr(0, backend.find("://")) + "' is no store; expected sqlite, database:NAME, redis://HOST:PORT, redlock://HOST:PORT,HOST:PORT,HOST:PORT or zookeeper://HOST:PORT,HOST:PORT/ROOT");
}

}  // namespace sluice
