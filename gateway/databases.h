#pragma once
// Databases: THE list of database engines, each told by its URL. Makes the backends that the sql handler serves.

#include <memory>
#include <string>
#include <vector>

#include "gateway/config/settings.h"
#include "handlers/sql/listener.h"
#include "handlers/sql/named.h"
#include "handlers/sql/sql.h"
#include "rpc/loop.h"
#include "rpc/workers.h"

namespace sluice {

// The file of the embedded database, if the default one is that; other embedded files stand beside it.
std::string main_file(const config::Settings&);

// Throw std::runtime_error that tells what is wrong with the URL or the weights of a database, and with sql.default.
void check_url(const std::string& url);
void check_weights(const config::Database&);  // that its URL is right, is known
void check_default_database(const config::Settings&);

// What seals the tokens of a database, of its secret_file; "" when it names none. Throws std::runtime_error.
std::string read_secret(const config::Database&);

// The named statements of settings.statements, each held to what it says of itself, and none by a name that the gateway keeps for its own
// methods. Throws as sql::load_named() does.
std::vector<sql::NamedStatement> load_statements(const config::Settings&);

// A listener to the server behind database `name`; nullptr when its engine tells nothing by itself.
std::unique_ptr<sql::Listener> listener_of(const config::Settings&, const std::string& name);

class Databases {
 public:
  // Clusters live on `home`, and begin to connect when it runs. Throws std::runtime_error that names the database, and what is wrong with it.
  Databases(const config::Settings&, Loop& home, Workers&);

  std::vector<sql::Sql::Database> list() const;  // the default one first
  sql::Backend& main() const { return *all_.front().second; }  // the default one
  sql::Backend* find(std::string_view name) const;             // nullptr: none of that name
  std::string describe() const;                                // for the line that says that the gateway is ready

 private:
  std::vector<std::pair<std::string, std::unique_ptr<sql::Backend>>> all_;
  std::string described_;
};

}  // namespace sluice
