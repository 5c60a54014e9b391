#pragma once
// LockStores: THE list of stores that locks may be kept in, each told by its name in the configuration.

#include "gateway/databases.h"
#include "gateway/store_url.h"
#include "handlers/lock/locks.h"

namespace sluice {

class LockStores {
 public:
  // Throws std::runtime_error or Fault that names the space, and what is wrong with it. `databases` outlives the stores.
  LockStores(const config::Settings&, Databases&, Loop& home);
  lock::Locks::Stores take() { return std::move(stores_); }  // they do not outlive this

 private:
  std::unique_ptr<lock::LeaseStore> make(const StoreUrl&, const config::Settings&, Databases&, Loop& home);

  std::unique_ptr<sql::Backend> file_;  // of the embedded store: its own, so that no transaction of a caller's holds locks up
  lock::Locks::Stores stores_;
};

}  // namespace sluice
