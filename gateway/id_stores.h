#pragma once
// IdStores: THE list of stores that ids may be kept in, each told by its name in the configuration. Makes the id handler.

#include "gateway/databases.h"
#include "gateway/store_url.h"
#include "handlers/id/id.h"
#include "handlers/id/local/one_name.h"

namespace sluice {

class IdStores {
 public:
  // Throws std::runtime_error or Fault that names the key, and what is wrong with it. `databases` outlives the store.
  IdStores(const config::Settings&, Databases&, Loop& home);
  std::unique_ptr<id::Id> handler(const config::Settings&, Loop& home);  // this outlives it

 private:
  std::unique_ptr<id::Store> make(const StoreUrl&, const config::Settings&, Databases&, Loop& home);

  std::unique_ptr<id::OneName> name_;   // of the embedded store's file, which closes before it
  std::unique_ptr<sql::Backend> file_;  // of the embedded store: its own, so that no transaction of a caller's holds ids up
  std::unique_ptr<id::Store> store_;
  std::unique_ptr<id::Stamps> stamps_;  // of id.redis
};

}  // namespace sluice
