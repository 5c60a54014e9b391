#include "gateway/lock_stores.h"

#include "handlers/lock/redis/store.h"
#include "handlers/lock/redlock/store.h"
#include "handlers/lock/sql/store.h"
#include "handlers/lock/zookeeper/store.h"
#include "handlers/sql/sqlite/backend.h"

namespace sluice {

LockStores::LockStores(const config::Settings& settings, Databases& databases, Loop& home) {
  stores_.emplace("", for_key("lock.backend", [&, url = lock_backend(settings)] { return make(url, settings, databases, home); }));
  for (const auto& space : lock_spaces(settings))
    stores_.emplace(space.first, for_key("lock.spaces '" + space.first + "'", [&] { return make(space.second, settings, databases, home); }));
}

// A store is one line.
std::unique_ptr<lock::LeaseStore> LockStores::make(const StoreUrl& url, const config::Settings& settings, Databases& databases, Loop& home) {
  lock::SqlStore::Options rows;
  rows.epoch = settings.lock_epoch;
  const std::string file = settings.lock_file.empty() ? main_file(settings) + "-locks" : settings.lock_file;
  if (const auto* database = std::get_if<OfDatabase>(&url)) return std::make_unique<lock::SqlStore>(*databases.find(database->name), home, rows, listener_of(settings, database->name));
  if (const auto* one = std::get_if<OneRedis>(&url)) {
    const auto server = redis::look_up(one->url).front();
    return std::make_unique<lock::RedisStore>(home, server, lock::RedisStore::Options{.file = file + "-redis-" + server.label(), .epoch = settings.lock_epoch});
  }
  if (const auto* many = std::get_if<Redlock>(&url)) return std::make_unique<lock::RedlockStore>(home, redis::look_up(many->url), lock::RedlockStore::Options{.file = file + "-redlock-", .epoch = settings.lock_epoch});
  if (const auto* place = std::get_if<zookeeper::Place>(&url)) return std::make_unique<lock::ZooKeeperStore>(home, *place, lock::ZooKeeperStore::Options{.epoch = settings.lock_epoch});
  if (!file_) {
    sql::sqlite::Settings own = settings.sqlite;
    own.file = file;
    own.readers = 1;
    file_ = std::make_unique<sql::sqlite::Sqlite>(std::move(own));
  }
  return std::make_unique<lock::SqlStore>(*file_, home, rows);
}

}  // namespace sluice
