#include "gateway/uses.h"

#include "gateway/access/access.h"
#include "gateway/databases.h"
#include "gateway/listen.h"
#include "gateway/store_url.h"
#include "handlers/id/hide.h"

namespace sluice {
namespace {

using config::Settings;

struct Use {
  const char* key;
  void (*check)(const Settings&);  // throws std::exception
};

const Use kUses[] = {
    {"xmlrpc.listen", [](const Settings& s) { for (const std::string& listen : s.xmlrpc_listen) read_listener(listen); }},
    {"zerorpc.listen", [](const Settings& s) { for (const std::string& endpoint : s.zerorpc_listen) check_endpoint(endpoint); }},
    {"sql.default", [](const Settings& s) { check_default_database(s); }},
    {"sql.statements", [](const Settings& s) { if (!s.statements.empty()) load_statements(s); }},
    {"lock.backend", [](const Settings& s) { lock_backend(s); }},
    {"lock.spaces", [](const Settings& s) { lock_spaces(s); }},
    {"id.backend", [](const Settings& s) { id_backend(s); }},
    {"id.redis", [](const Settings& s) { if (!s.id_redis.empty()) id_redis(s); }},
    {"id.spaces", [](const Settings& s) { id_spaces(s); }},
    {"id.keys", [](const Settings& s) { for (const std::string& key : s.id_keys) id::Hider::from_file(key); }},
    {"access.users", [](const Settings& s) { if (!s.access.users.empty()) access::check(s.access); }},
};

}  // namespace

void check_uses(config::Loaded& loaded) {
  const Settings& settings = loaded.settings;
  auto fail = [&](const std::string& key, const std::string& what) { loaded.errors.push_back(loaded.complaint(key, what)); };
  for (const Use& use : kUses) {
    try {
      use.check(settings);
    } catch (const std::exception& problem) {
      fail(use.key, problem.what());
    }
  }
  for (const auto& [name, database] : settings.databases) {
    std::string key = "url";
    try {
      check_url(database.url);
      key = "weights";
      check_weights(database);
    } catch (const std::exception& problem) {
      fail("database." + name + "." + key, "[database." + name + "]: " + problem.what());
    }
  }
  if (loaded.errors.empty())
    if (auto problem = exposed(settings)) loaded.errors.push_back(*problem);
}

}  // namespace sluice
