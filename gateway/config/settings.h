#pragma once
// Settings: everything that can be configured, filled by the table in schema.cc.

#include <map>
#include <string>
#include <vector>

#include "gateway/access/settings.h"
#include "handlers/id/id.h"
#include "handlers/lock/options.h"
#include "handlers/sql/cluster/cluster.h"
#include "handlers/sql/sql.h"
#include "handlers/sql/sqlite/backend.h"
#include "rpc/dispatcher.h"
#include "rpc/system.h"
#include "transports/xmlrpc/transport.h"
#include "transports/zerorpc/transport.h"

namespace sluice::config {

// A database behind the gateway, [database.NAME].
struct Database {
  std::string url;          // sqlite:FILE, postgresql://..., mariadb://...
  std::string split = "on";  // "on", "off", "shadow", or a percentage
  std::vector<std::string> weights;  // NODE=NUMBER
  std::string secret_file;  // seals tokens; empty: a secret that the database keeps
  sql::cluster::Settings cluster;
};

// What holds for each database, whichever engine it has.
struct EachDatabase {
  sql::AnswerLimits answer;
  std::chrono::milliseconds longest_transaction{300'000};
};

struct Settings {
  std::map<std::string, Database> databases;
  std::string default_database = "main";
  std::vector<std::string> xmlrpc_listen{"127.0.0.1:4242"};
  std::vector<std::string> zerorpc_listen{"tcp://127.0.0.1:4243"};
  bool listen_without_authentication = false;
  std::int64_t threads = 0;  // 0: a core less than there are, at least one
  std::int64_t workers = 2;
  std::size_t workers_waiting = 1000;
  std::chrono::milliseconds queue_target{5};  // of every queue of calls: rpc/shedder.h
  std::int64_t drain_ms = 30'000;
  std::int64_t ready_ms = 0;  // between /ready saying no and the listeners' end
  bool probe = false;
  std::string statements;  // a folder; empty: none

  Dispatcher::Limits dispatcher;
  System::Limits system;
  xmlrpc::Options xmlrpc;
  zerorpc::Options zerorpc;
  sql::Sql::Limits sql;
  EachDatabase each;
  sql::sqlite::Settings sqlite;
  lock::Limits lock;
  id::Limits id;
  std::string id_backend = "sqlite";
  std::string id_redis;
  std::string id_file;  // empty: beside the embedded database
  bool id_accept_copy = false;
  std::vector<std::string> id_spaces{"main", "js layout=js53"};
  std::vector<std::string> id_keys;
  std::string lock_backend = "sqlite";
  std::vector<std::string> lock_spaces;
  std::string lock_file;  // empty: beside the embedded database
  std::int64_t lock_epoch = 0;
  access::Settings access;
  http::Tls::Files tls;
  std::string curve_keys;  // a file; empty: no CURVE
};

}  // namespace sluice::config
