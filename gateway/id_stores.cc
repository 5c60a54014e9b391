#include "gateway/id_stores.h"

#include <charconv>
#include <stdexcept>

#include "handlers/id/local/store.h"
#include "handlers/id/redis/stamps.h"
#include "handlers/id/redis/store.h"
#include "handlers/id/sql/store.h"
#include "handlers/id/zookeeper/store.h"
#include "handlers/sql/sqlite/backend.h"

namespace sluice {
namespace {

id::LocalStore::Options local(const config::Settings& settings) {
  id::LocalStore::Options options;
  const std::string_view number = std::string_view(settings.id_backend).substr(7);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), options.worker);
  if (error != std::errc() || end != number.data() + number.size() || options.worker < 0)
    throw std::runtime_error("id.backend: '" + settings.id_backend + "' names no worker id; expected worker:N with N from 0 on, such as worker:3");
  options.file = settings.id_file.empty() ? main_file(settings) + "-worker" : settings.id_file;
  options.accept_copy = settings.id_accept_copy;
  return options;
}

// Files of what is remembered of a Redis server begin so.
std::string memory_file(const config::Settings& settings, const redis::Address& server) {
  return (settings.id_file.empty() ? main_file(settings) + "-ids" : settings.id_file) + "-redis-" + server.label();
}

redis::Address redis_server(const char* key, const std::string& url) {
  try {
    if (!url.starts_with("redis://")) throw std::runtime_error("'" + url.substr(0, url.find("://")) + "' is no Redis; expected redis://HOST:PORT");
    auto servers = redis::read_addresses("redis", url);
    if (servers.size() != 1) throw std::runtime_error("redis:// takes one server");
    return std::move(servers.front());
  } catch (const std::runtime_error& problem) {
    throw std::runtime_error(std::string(key) + ": " + problem.what());
  }
}

}  // namespace

// A store is one line.
IdStores::IdStores(const config::Settings& settings, Databases& databases, Loop& home) {
  id::SqlStore::Options options;
  options.accept_copy = settings.id_accept_copy;
  const std::string& backend = settings.id_backend;
  if (backend == "sqlite") {
    sql::sqlite::Settings own = settings.sqlite;
    own.file = settings.id_file.empty() ? main_file(settings) + "-ids" : settings.id_file;
    own.readers = 1;
    options.file = own.file;
    file_ = std::make_unique<sql::sqlite::Sqlite>(std::move(own));
    store_ = std::make_unique<id::SqlStore>(*file_, home, options);
  } else if (backend.starts_with("database:")) {
    sql::Backend* database = databases.find(backend.substr(9));
    if (!database) throw std::runtime_error("id.backend: there is no [database." + backend.substr(9) + "]");
    store_ = std::make_unique<id::SqlStore>(*database, home, options);
  } else if (backend.starts_with("worker:")) {
    store_ = std::make_unique<id::LocalStore>(home, local(settings));
  } else if (backend.starts_with("zookeeper:")) {
    store_ = std::make_unique<id::ZooKeeperStore>(home, zookeeper::parse_place(backend), id::ZooKeeperStore::Options{});
  } else if (backend.starts_with("redis://")) {
    const redis::Address server = redis_server("id.backend", backend);
    store_ = std::make_unique<id::RedisStore>(home, server, id::RedisStore::Options{.file = memory_file(settings, server)});
  } else {
    throw std::runtime_error("id.backend: '" + backend.substr(0, backend.find("://")) + "' is no store; expected sqlite, database:NAME, redis://HOST:PORT, zookeeper://HOST:PORT,HOST:PORT/ROOT or worker:N");
  }
  const std::string& stamps = settings.id_redis.empty() && backend.starts_with("redis://") ? backend : settings.id_redis;
  if (stamps.empty()) return;
  const redis::Address server = redis_server("id.redis", stamps);
  stamps_ = std::make_unique<id::RedisStamps>(home, server, id::RedisStamps::Options{.file = memory_file(settings, server)});
}

std::unique_ptr<id::Id> IdStores::handler(const config::Settings& settings, Loop& home) {
  std::vector<id::Space> spaces;
  for (const std::string& text : settings.id_spaces) spaces.push_back(id::parse_space(text));
  if (spaces.empty()) throw std::runtime_error("id.spaces: at least one space is needed, such as \"main\"");
  for (std::size_t i = 0; i < spaces.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      if (spaces[i].name == spaces[k].name) throw std::runtime_error("id.spaces: '" + spaces[i].name + "' stands there twice");
  std::vector<id::Hider> keys;
  for (const std::string& key : settings.id_keys) keys.push_back(id::Hider::from_file(key));
  return std::make_unique<id::Id>(home, *store_, stamps_.get(), std::move(spaces), std::move(keys), settings.id);
}

}  // namespace sluice
