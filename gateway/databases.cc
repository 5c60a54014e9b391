#include "gateway/databases.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "gateway/config/load.h"
#include "gateway/kept_secret.h"
#include "handlers/sql/mariadb/engine.h"
#include "handlers/sql/postgres/engine.h"
#include "handlers/sql/postgres/listener.h"
#include "handlers/sql/sqlite/backend.h"
#include "rpc/password_file.h"
#include "rpc/read_file.h"

namespace sluice {
namespace {

// What the gateway's own methods begin with. A later version may have more of them, so no name below these is free.
constexpr std::array<std::string_view, 7> kHandlers{"calc", "id", "lock", "probe", "sql", "system", "validator1"};

using Hosts = std::vector<std::pair<std::string, std::string>>;  // and ports

std::unique_ptr<sql::Backend> sqlite_at(const config::Settings& settings, const std::string& file, std::string secret) {
  sql::sqlite::Settings own = settings.sqlite;
  own.file = file;
  own.writer.answer = settings.each.answer;
  own.writer.longest_transaction = settings.each.longest_transaction;
  own.writer.queue_target = settings.queue_target;
  // Opened before anything is put beside it: what is wrong with the file itself is told first.
  { const sql::sqlite::Connection first(file, sql::sqlite::Connection::Mode::writer); }
  own.secret = secret.empty() ? kept_secret(file + "-secret") : std::move(secret);
  return std::make_unique<sql::sqlite::Sqlite>(std::move(own));
}

struct Opened {
  std::unique_ptr<sql::cluster::Engine> engine;
  Hosts hosts;
  std::string login;  // all that is needed to log in, of which libpq keeps the content of a passfile to itself
};

// An engine is one line.
Opened engine_at(const std::string& url, sql::AnswerLimits limits) {
  if (url.starts_with("postgresql://") || url.starts_with("postgres://")) return {std::make_unique<sql::postgres::Postgres>(url, limits), sql::postgres::Postgres::hosts(url), url};
  if (url.starts_with("mariadb://")) {
    auto read = sql::mariadb::read_url(url);
    std::string login = url;
    if (!read.password_file.empty()) login += "\n" + (read.login.password = read_password_file(read.password_file));
    return {std::make_unique<sql::mariadb::MariaDb>(std::move(read.login), limits), std::move(read.hosts), std::move(login)};
  }
  throw std::runtime_error("url '" + url.substr(0, url.find(':')) + ":...' names no engine; expected sqlite:FILE, postgresql://... or mariadb://...");
}

Opened engine_of(const std::string& url, sql::AnswerLimits limits) {
  auto opened = engine_at(url, limits);
  if (opened.hosts.size() > 63) throw std::runtime_error("url names " + std::to_string(opened.hosts.size()) + " nodes; at most 63 are served");
  return opened;
}

std::vector<std::int64_t> read_weights(const std::vector<std::string>& texts, const Hosts& hosts) {
  std::vector<std::int64_t> weights(hosts.size(), 1);
  for (const std::string& text : texts) {
    const auto equals = text.rfind('=');
    const std::string node = text.substr(0, equals);
    std::int64_t weight = -1;
    if (equals != text.npos) {
      const auto [end, error] = std::from_chars(text.data() + equals + 1, text.data() + text.size(), weight);
      if (error != std::errc() || end != text.data() + text.size()) weight = -1;
    }
    if (weight < 0 || weight > 1000) throw std::runtime_error("weights must hold HOST:PORT=NUMBER with a number from 0 to 1000, not '" + text + "'");
    const auto at = std::ranges::find_if(hosts, [&](const auto& host) { return host.first + ":" + host.second == node || "[" + host.first + "]:" + host.second == node; });
    if (at == hosts.end()) throw std::runtime_error("weights names '" + node + "', which is no node of url");
    weights[static_cast<std::size_t>(at - hosts.begin())] = weight;
  }
  return weights;
}

std::unique_ptr<sql::Backend> open(const std::string& name, const config::Database& database, const config::Settings& settings, Loop& home, Workers& workers) {
  if (database.url.starts_with("sqlite:")) return sqlite_at(settings, database.url.substr(7), read_secret(database));
  sql::cluster::Settings own = database.cluster;
  own.name = name;
  own.answer = settings.each.answer;
  own.longest_transaction = settings.each.longest_transaction;
  own.node.waiting = own.waiting;
  own.node.queue_target = settings.queue_target;
  own.secret = read_secret(database);
  own.split = sql::read_split(database.split).value_or(sql::Split{});
  auto opened = engine_of(database.url, own.answer);
  own.hosts = std::move(opened.hosts);
  own.fallback_secret = std::move(opened.login);  // what every gateway of this database has anyway
  own.weights = read_weights(database.weights, own.hosts);
  auto cluster = std::make_unique<sql::cluster::Cluster>(std::move(opened.engine), std::move(own), home, workers);
  home.post([cluster = cluster.get()] { cluster->start(); });
  return cluster;
}

}  // namespace

std::string main_file(const config::Settings& settings) {
  const auto configured = settings.databases.find(settings.default_database);
  if (configured == settings.databases.end()) return settings.sqlite.file;
  return configured->second.url.starts_with("sqlite:") ? configured->second.url.substr(7) : settings.sqlite.file;
}

std::unique_ptr<sql::Listener> listener_of(const config::Settings& settings, const std::string& name) {
  const auto configured = settings.databases.find(name);
  if (configured == settings.databases.end() || !configured->second.url.starts_with("postgres")) return nullptr;
  return std::make_unique<sql::postgres::PgListener>(configured->second.url);
}

void check_url(const std::string& url) {
  if (!url.starts_with("sqlite:")) engine_of(url, {});
}

void check_weights(const config::Database& database) {
  Hosts hosts;
  if (!database.url.starts_with("sqlite:")) hosts = engine_of(database.url, {}).hosts;
  read_weights(database.weights, hosts);
}

void check_default_database(const config::Settings& settings) {
  const std::string& name = settings.default_database;
  if (name != "main" && !settings.databases.contains(name)) throw std::runtime_error("sql.default is '" + name + "', but there is no [database." + name + "]");
}

std::string read_secret(const config::Database& database) {
  if (database.secret_file.empty()) return {};
  std::string secret;
  try {
    secret = read_file(database.secret_file);
  } catch (const std::runtime_error& problem) {
    throw std::runtime_error("secret_file: " + std::string(problem.what()));
  }
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.size() < 16) throw std::runtime_error("secret_file: " + database.secret_file + " must hold at least 16 bytes, not " + std::to_string(secret.size()));
  return secret;
}

std::vector<sql::NamedStatement> load_statements(const config::Settings& settings) {
  auto statements = sql::load_named(settings.statements);
  for (const sql::NamedStatement& statement : statements) {
    const std::string handler = statement.name.substr(0, statement.name.find('.'));
    if (std::ranges::find(kHandlers, handler) == kHandlers.end()) continue;
    throw std::runtime_error(statement.file + ":" + std::to_string(statement.line) + ":1: " + statement.name + " cannot be served: names that begin with '" + handler +
                             ".' are the gateway's own; choose another, such as my_" + statement.name);
  }
  sql::check_named(statements, [&](const std::string& db) -> std::string {
    const std::string& name = db.empty() ? settings.default_database : db;
    const auto found = settings.databases.find(name);
    if (found == settings.databases.end()) return name == "main" ? "sqlite" : "";
    const std::string_view url = found->second.url;
    return url.starts_with("postgres") ? "postgresql" : url.starts_with("mariadb") ? "mariadb" : "sqlite";
  });
  return statements;
}

Databases::Databases(const config::Settings& settings, Loop& home, Workers& workers) {
  check_default_database(settings);
  for (const auto& [name, database] : settings.databases) {
    try {
      all_.emplace_back(name, open(name, database, settings, home, workers));
    } catch (const std::exception& problem) {
      throw std::runtime_error("[database." + name + "]: " + problem.what());
    }
  }
  if (!settings.databases.contains("main")) all_.emplace_back("main", sqlite_at(settings, settings.sqlite.file, {}));
  const auto first = std::ranges::find(all_, settings.default_database, [](const auto& one) { return one.first; });
  std::rotate(all_.begin(), first, first + 1);
  for (const auto& [name, backend] : all_) {
    const auto configured = settings.databases.find(name);
    const bool file = configured == settings.databases.end() || configured->second.url.starts_with("sqlite:");
    described_ += (described_.empty() ? "" : ", ") + (file ? configured == settings.databases.end() ? settings.sqlite.file : configured->second.url.substr(7) : name + " (" + std::string(backend->dialect()) + ")");
  }
}

std::vector<sql::Sql::Database> Databases::list() const {
  std::vector<sql::Sql::Database> out;
  for (const auto& [name, backend] : all_) out.push_back({name, backend.get()});
  return out;
}

sql::Backend* Databases::find(std::string_view name) const {
  for (const auto& [known, backend] : all_)
    if (known == name) return backend.get();
  return nullptr;
}

std::string Databases::describe() const { return described_; }

}  // namespace sluice
