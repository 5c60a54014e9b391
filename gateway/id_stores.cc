#include "gateway/id_stores.h"

#include "handlers/id/local/store.h"
#include "handlers/id/redis/stamps.h"
#include "handlers/id/redis/store.h"
#include "handlers/id/sql/store.h"
#include "handlers/id/zookeeper/store.h"
#include "handlers/sql/sqlite/backend.h"

namespace sluice {
namespace {

// Files of what is remembered of a Redis server begin so.
std::string memory_file(const config::Settings& settings, const redis::Address& server) {
  return (settings.id_file.empty() ? main_file(settings) + "-ids" : settings.id_file) + "-redis-" + server.label();
}

}  // namespace

IdStores::IdStores(const config::Settings& settings, Databases& databases, Loop& home)
    : store_(for_key("id.backend", [&, url = id_backend(settings)] { return make(url, settings, databases, home); })) {
  const auto stamps = id_redis(settings);
  if (!stamps) return;
  const auto server = for_key("id.redis", [&] { return redis::look_up(*stamps).front(); });
  stamps_ = std::make_unique<id::RedisStamps>(home, server, id::RedisStamps::Options{.file = memory_file(settings, server)});
}

// A store is one line.
std::unique_ptr<id::Store> IdStores::make(const StoreUrl& url, const config::Settings& settings, Databases& databases, Loop& home) {
  id::SqlStore::Options rows;
  rows.accept_copy = settings.id_accept_copy;
  if (const auto* database = std::get_if<OfDatabase>(&url)) return std::make_unique<id::SqlStore>(*databases.find(database->name), home, rows);
  if (const auto* place = std::get_if<zookeeper::Place>(&url)) return std::make_unique<id::ZooKeeperStore>(home, *place, id::ZooKeeperStore::Options{});
  if (const auto* one = std::get_if<OneRedis>(&url)) {
    const auto server = redis::look_up(one->url).front();
    return std::make_unique<id::RedisStore>(home, server, id::RedisStore::Options{.file = memory_file(settings, server)});
  }
  if (const auto* worker = std::get_if<OwnWorker>(&url)) {
    const std::string file = settings.id_file.empty() ? main_file(settings) + "-worker" : settings.id_file;
    return std::make_unique<id::LocalStore>(home, id::LocalStore::Options{.file = file, .worker = worker->id, .accept_copy = settings.id_accept_copy});
  }
  sql::sqlite::Settings own = settings.sqlite;
  own.file = settings.id_file.empty() ? main_file(settings) + "-ids" : settings.id_file;
  own.readers = 1;
  if (own.file.find(":memory:") == own.file.npos) {
    rows.file = own.file;
    name_ = std::make_unique<id::OneName>(own.file);
  }
  file_ = std::make_unique<sql::sqlite::Sqlite>(std::move(own));
  return std::make_unique<id::SqlStore>(*file_, home, rows);
}

std::unique_ptr<id::Id> IdStores::handler(const config::Settings& settings, Loop& home) {
  std::vector<id::Hider> keys;
  for (const std::string& key : settings.id_keys) keys.push_back(id::Hider::from_file(key));
  return std::make_unique<id::Id>(home, *store_, stamps_.get(), id_spaces(settings), std::move(keys), settings.id);
}

}  // namespace sluice
