#include "gateway/store_url.h"

#include <algorithm>
#include <charconv>

#include "handlers/lock/redlock/store.h"

namespace sluice {
namespace {

OneRedis one_redis(const std::string& text) {
  OneRedis store{redis::read_url("redis", text)};
  if (store.url.masters.size() != 1) throw std::runtime_error("redis:// takes one server, not " + std::to_string(store.url.masters.size()));
  return store;
}

Redlock redlock(const std::string& text) {
  Redlock store{redis::read_url("redlock", text)};
  lock::RedlockStore::check_masters(store.url.masters.size());
  return store;
}

OwnWorker own_worker(const std::string& text) {
  OwnWorker store{-1};
  const std::string_view number = std::string_view(text).substr(7);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), store.id);
  if (error != std::errc() || end != number.data() + number.size() || store.id < 0)
    throw std::runtime_error("'" + text + "' names no worker id; expected worker:N with N from 0 on, such as worker:3");
  return store;
}

// What locks and ids share; nullopt: none of these.
std::optional<StoreUrl> shared(const std::string& text, const config::Settings& settings) {
  if (text == "sqlite") return OwnFile{};
  if (text.starts_with("redis://")) return one_redis(text);
  if (text.starts_with("zookeeper:")) return zookeeper::parse_place(text);
  if (!text.starts_with("database:")) return std::nullopt;
  const std::string name = text.substr(9);
  if (name != "main" && !settings.databases.contains(name)) throw std::runtime_error("there is no [database." + name + "]");
  return OfDatabase{name};
}

std::runtime_error no_store(const std::string& text, const std::string& others) {
  // What stands behind :// may be a password.
  return std::runtime_error("'" + text.substr(0, text.find("://")) + "' is no store; expected sqlite, database:NAME, redis://HOST:PORT, zookeeper://HOST:PORT,HOST:PORT/ROOT or " + others);
}

StoreUrl lock_store(const std::string& text, const config::Settings& settings) {
  if (auto store = shared(text, settings)) return *std::move(store);
  if (text.starts_with("redlock://")) return redlock(text);
  throw no_store(text, "redlock://HOST:PORT,HOST:PORT,HOST:PORT");
}

}  // namespace

StoreUrl lock_backend(const config::Settings& settings) {
  return for_key("lock.backend", [&] { return lock_store(settings.lock_backend, settings); });
}

std::vector<std::pair<std::string, StoreUrl>> lock_spaces(const config::Settings& settings) {
  std::vector<std::pair<std::string, StoreUrl>> all;
  for (const std::string& text : settings.lock_spaces) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == text.npos) throw std::runtime_error("lock.spaces must hold NAME=BACKEND, not '" + text.substr(0, text.find("://")) + "'");
    const std::string name = text.substr(0, equals);
    if (std::ranges::find(all, name, [](const auto& one) { return one.first; }) != all.end()) throw std::runtime_error("lock.spaces: '" + name + "' stands there twice");
    all.emplace_back(name, for_key("lock.spaces '" + name + "'", [&] { return lock_store(text.substr(equals + 1), settings); }));
  }
  return all;
}

StoreUrl id_backend(const config::Settings& settings) {
  return for_key("id.backend", [&]() -> StoreUrl {
    if (auto store = shared(settings.id_backend, settings)) return *std::move(store);
    if (settings.id_backend.starts_with("worker:")) return own_worker(settings.id_backend);
    throw no_store(settings.id_backend, "worker:N");
  });
}

std::optional<redis::Url> id_redis(const config::Settings& settings) {
  if (settings.id_redis.empty()) {
    const StoreUrl backend = id_backend(settings);
    const auto* redis = std::get_if<OneRedis>(&backend);
    return redis ? std::optional(redis->url) : std::nullopt;
  }
  return for_key("id.redis", [&] {
    if (!settings.id_redis.starts_with("redis://"))
      throw std::runtime_error("'" + settings.id_redis.substr(0, settings.id_redis.find("://")) + "' is no Redis; expected redis://HOST:PORT");
    return one_redis(settings.id_redis).url;
  });
}

std::vector<id::Space> id_spaces(const config::Settings& settings) {
  return for_key("id.spaces", [&] {
    std::vector<id::Space> all;
    for (const std::string& text : settings.id_spaces) {
      id::Space space = id::parse_space(text);
      if (std::ranges::find(all, space.name, &id::Space::name) != all.end()) throw std::runtime_error("'" + space.name + "' stands there twice");
      all.push_back(std::move(space));
    }
    if (all.empty()) throw std::runtime_error("at least one space is needed, such as \"main\"");
    return all;
  });
}

}  // namespace sluice
