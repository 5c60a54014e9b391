#pragma once
// SqlStore: leases as rows of a database, behind the sql handler's own backends. Each operation is one transaction, and the
// clock is the database's, so that gateways on several machines agree about what has ended.

#include <unordered_map>
#include <memory>

#include "handlers/lock/lease_store.h"
#include "handlers/lock/sql/statements.h"
#include "handlers/sql/errand.h"
#include "handlers/sql/listener.h"

namespace sluice::lock {

class SqlStore final : public LeaseStore {
 public:
  struct Options {
    std::int64_t epoch = 0;        // raise it when the database was replaced by one that knows fewer grants
    milliseconds limit{2000};      // of an operation; then its outcome is unknown, or the backend says that nothing happened
    milliseconds forget{86'400'000};  // names that were not locked for so long are purged
  };

  // `backend` outlives the store. With a listener to the same database, waiters are told of releases; without, or while it is not
  // connected, they look. Throws Fault (bad_arguments) for a dialect that it does not speak.
  SqlStore(sql::Backend& backend, Loop& home, Options, std::unique_ptr<sql::Listener> listener = nullptr);
  ~SqlStore() override;

  std::string_view backend() const override { return backend_.dialect(); }
  void acquire(Acquire, UniqueFunction<void(Acquired)>) override;
  void undo(Acquire, UniqueFunction<void(Change)>) override;
  void release(Lease, UniqueFunction<void(Change)>) override;
  void renew(Lease, milliseconds ttl, UniqueFunction<void(Change)>) override;
  void force_release(std::string name, UniqueFunction<void(Listing)>) override;
  void inspect(std::string name, UniqueFunction<void(Listing)>) override;
  void list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)>) override;
  std::unique_ptr<Watch> watch(std::string name, UniqueFunction<void()> freed) override;

 private:
  class Watcher;
  using Done = sql::Errand::Done;

  void run(std::vector<sql::Statement>, bool writes, Done);
  void send(std::vector<sql::Statement>, bool writes, Done, int attempts = 5);
  void set_up();
  void listen();
  void purge();
  void change(const std::vector<Template>&, const Value::Struct&, milliseconds ttl, UniqueFunction<void(Change)>);
  BootClock::time_point safe(BootClock::time_point sent, milliseconds span) const;

  struct Waiting {
    std::vector<sql::Statement> statements;
    bool writes;
    Done done;
  };

  sql::Backend& backend_;
  Loop& home_;
  const Options options_;
  const Statements statements_, one_;  // one_: acquires of a single name
  const bool remote_clock_;
  bool ready_ = false, setting_up_ = false;
  std::vector<Waiting> waiting_;  // for the tables to be there
  Timer purge_timer_;
  bool listening_ = false;  // what is marked is told
  std::unordered_multimap<std::string, Watcher*> watchers_;
  std::unique_ptr<sql::Listener> listener_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // errands may outlive the store
};

}  // namespace sluice::lock
