#include "gateway/uses.h"

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include "gateway/access/access.h"
#include "gateway/databases.h"
#include "gateway/listen.h"
#include "gateway/store_url.h"
#include "handlers/id/hide.h"
#include "handlers/id/local/store.h"
#include "rpc/password_file.h"
#include "transports/zerorpc/keys.h"

namespace sluice {
namespace {

using config::Settings;

// Wrong with another key than the one whose use is checked.
struct Misuse : std::runtime_error {
  Misuse(std::string key, const std::string& what) : std::runtime_error(what), key(std::move(key)) {}
  std::string key;
};

struct Use {
  const char* key;
  void (*check)(const Settings&);  // throws std::exception
};

void check_password_file(const std::string& key, const redis::Url* url) {
  if (url && !url->password_file.empty()) for_key(key, [&] { read_password_file(url->password_file); });
}

void check_store(const std::string& key, const StoreUrl& store) {
  if (const auto* one = std::get_if<OneRedis>(&store)) check_password_file(key, &one->url);
  if (const auto* many = std::get_if<Redlock>(&store)) check_password_file(key, &many->url);
}

// What is made at the start, if need be, needs a folder that is there.
void check_folder(const std::string& key, const std::string& file) {
  const auto folder = std::filesystem::path(file).parent_path();
  std::error_code unknown;
  if (!folder.empty() && !std::filesystem::is_directory(folder, unknown)) throw std::runtime_error(key + ": the file '" + file + "' cannot be opened: there is no folder " + folder.string());
}

// A worker id that some space has, and another has not, is good for the ids of the first.
void check_worker(const Settings& settings, const StoreUrl& store) {
  const auto* own = std::get_if<OwnWorker>(&store);
  if (!own) return;
  const auto spaces = id_spaces(settings);
  const auto roomy = std::ranges::max_element(spaces, {}, [](const id::Space& space) { return space.layout.workers(); });
  if (own->id >= roomy->layout.workers()) throw std::runtime_error("id.backend: " + id::no_such_worker(own->id, roomy->name, roomy->layout.describe(), roomy->layout.workers()));
}

// The certificates are read for the listeners that want them alone.
void check_tls(const Settings& settings) {
  for (const std::string& listen : settings.xmlrpc_listen) {
    const Listener at = read_listener(listen);
    if (at.security == Listener::Security::plain) continue;
    const auto need = [&](const std::string& file, const std::string& key) {
      if (file.empty()) throw Misuse("xmlrpc.listen", "xmlrpc.listen: " + listen + " needs " + key + ", a file in PEM");
    };
    need(settings.tls.certificate, "tls.certificate");
    need(settings.tls.key, "tls.key");
    if (at.security == Listener::Security::mutual) need(settings.tls.client_ca, "tls.client_ca");
    try {
      http::Tls(settings.tls, at.security == Listener::Security::mutual);
    } catch (const http::Tls::Unusable& problem) {
      throw Misuse(problem.key, problem.what());
    }
  }
}

void check_curve(const Settings& settings) {
  if (settings.zerorpc_listen.empty()) return;
  const auto curve = std::ranges::find_if(settings.zerorpc_listen, [](const std::string& endpoint) { return endpoint.starts_with("curve+"); });
  if (curve != settings.zerorpc_listen.end() && settings.curve_keys.empty())
    throw Misuse("zerorpc.listen", "zerorpc.listen: " + *curve + " needs a key: make one by `sluice keygen FILE` and name it in zerorpc.curve_keys");
  if (!settings.curve_keys.empty()) for_key("zerorpc.curve_keys", [&] { return zerorpc::load_keys(settings.curve_keys); });
}

void check_exposed(const Settings& settings) {
  if (const auto problem = exposed(settings)) throw Misuse(problem->key, problem->why);
}

const Use kUses[] = {
    {"xmlrpc.listen", [](const Settings& s) { for (const std::string& listen : s.xmlrpc_listen) read_listener(listen); }},
    {"zerorpc.listen", [](const Settings& s) { for (const std::string& endpoint : s.zerorpc_listen) check_endpoint(endpoint); }},
    {"zerorpc.curve_keys", check_curve},
    {"sqlite.file", [](const Settings& s) { if (!s.databases.contains("main")) check_folder("sqlite.file", s.sqlite.file); }},
    {"lock.file", [](const Settings& s) { check_folder("lock.file", s.lock_file); }},
    {"id.file", [](const Settings& s) { check_folder("id.file", s.id_file); }},
    {"sql.default", check_default_database},
    {"sql.statements", [](const Settings& s) { if (!s.statements.empty()) load_statements(s); }},
    {"lock.backend", [](const Settings& s) { check_store("lock.backend", lock_backend(s)); }},
    {"lock.spaces", [](const Settings& s) { for (const auto& [name, store] : lock_spaces(s)) check_store("lock.spaces '" + name + "'", store); }},
    {"id.backend", [](const Settings& s) { check_store("id.backend", id_backend(s)); }},
    {"id.redis", [](const Settings& s) {
       if (s.id_redis.empty()) return;
       const auto url = id_redis(s);
       check_password_file("id.redis", &*url);
     }},
    {"id.spaces", [](const Settings& s) { id_spaces(s); }},
    {"id.keys", [](const Settings& s) { for (const std::string& key : s.id_keys) id::Hider::from_file(key); }},
    {"access.anonymous", [](const Settings& s) { if (!s.access.users.empty()) access::check_anonymous(s.access); }},
    {"access.users", [](const Settings& s) { if (!s.access.users.empty()) access::read_logins(s.access); }},
    {"access.audit", [](const Settings& s) { if (!s.access.users.empty() && !s.access.audit.empty()) access::Journal::check(s.access.audit); }},
};

// What two keys, each well by itself, may be wrong in together.
const Use kUsesTogether[] = {
    {"id.backend", [](const Settings& s) { check_worker(s, id_backend(s)); }},
    {"tls.certificate", check_tls},
    {"xmlrpc.listen", check_exposed},
};

}  // namespace

void check_uses(config::Loaded& loaded) {
  const Settings& settings = loaded.settings;
  auto fail = [&](const std::string& key, const std::string& what) { loaded.errors.push_back(loaded.complaint(key, what)); };
  auto check = [&](const Use& use) {
    try {
      use.check(settings);
    } catch (const Misuse& problem) {
      fail(problem.key, problem.what());
    } catch (const std::exception& problem) {
      fail(use.key, problem.what());
    }
  };
  for (const Use& use : kUses) check(use);
  for (const auto& [name, database] : settings.databases) {
    std::string key;
    try {
      key = "url";
      check_url(database.url);
      if (database.url.starts_with("sqlite:")) check_folder("url", database.url.substr(7));
      key = "weights";
      check_weights(database);
      key = "secret_file";
      read_secret(database);
    } catch (const std::exception& problem) {
      fail("database." + name + "." + key, "[database." + name + "]: " + problem.what());
    }
  }
  if (!loaded.errors.empty()) return;
  for (const Use& use : kUsesTogether) check(use);
}

}  // namespace sluice
