#pragma once
// StoreUrl: where locks and ids are kept, as the configuration says it. Read here once, for `sluice check` and for the gateway alike;
// nothing is opened, looked up or read but the settings.
//
// The functions below throw std::runtime_error that begins with the key, and tells what is wrong and what was expected.

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gateway/config/settings.h"
#include "handlers/id/layout.h"
#include "handlers/redis/address.h"
#include "handlers/zookeeper/path.h"

namespace sluice {

// What `make` answers; what it throws begins with the key then.
template <class Make>
auto for_key(const std::string& key, Make make) {
  try {
    return make();
  } catch (const std::exception& problem) {
    throw std::runtime_error(key + ": " + problem.what());
  }
}

struct OwnFile {};  // SQLite, beside the embedded database
struct OfDatabase {
  std::string name;  // one that is configured
};
struct OneRedis {
  redis::Url url;
};
struct Redlock {
  redis::Url url;  // an odd number of masters, three or more
};
struct OwnWorker {
  std::int64_t id;
};
using StoreUrl = std::variant<OwnFile, OfDatabase, OneRedis, Redlock, zookeeper::Place, OwnWorker>;

StoreUrl lock_backend(const config::Settings&);
std::vector<std::pair<std::string, StoreUrl>> lock_spaces(const config::Settings&);
StoreUrl id_backend(const config::Settings&);
std::optional<redis::Url> id_redis(const config::Settings&);  // that of id.backend, if it is one, where id.redis names none
std::vector<id::Space> id_spaces(const config::Settings&);    // at least one

}  // namespace sluice
