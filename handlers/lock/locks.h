#pragma once
// lock: locks with leases, fencing tokens and waiters, in whichever store. Calls come on any loop and are served on one.

#include <atomic>

#include "handlers/lock/sessions.h"
#include "handlers/lock/space.h"
#include "rpc/handler.h"

namespace sluice::lock {

class Locks final : public Handler {
 public:
  // Spaces by name; the one called "" serves callers who name none. The stores live on `home`, and so do the sessions.
  using Stores = std::map<std::string, std::unique_ptr<LeaseStore>>;
  Locks(Loop& home, Stores stores, Limits limits);
  ~Locks() override;  // while no loop runs

  std::string_view name() const override { return "lock"; }
  std::vector<Method> methods() override;

 private:
  using Struct = Value::Struct;
  using MaybeStruct = std::optional<Value::Struct>;
  using MaybeValue = std::optional<Value>;
  struct Wanted;

  void acquire(Answer<Struct>, std::string name, MaybeStruct options);
  void try_acquire(Answer<Struct>, std::string name, MaybeStruct options);
  void acquire_many(Answer<Struct>, Value::Array names, MaybeStruct options);
  void release(Answer<Struct>, Value lease, MaybeValue owner, MaybeValue token);
  void renew(Answer<Struct>, Value lease, MaybeValue owner_or_ttl_ms, MaybeValue token, MaybeValue ttl_ms);
  void check(Answer<Struct>, Value lease, MaybeValue owner, MaybeValue token);
  void info(Answer<Struct>, std::string name, MaybeStruct options);
  void list(Answer<Value::Array>, std::optional<std::string> prefix, MaybeStruct options);
  void force_release(Answer<Struct>, std::string name, std::string why, MaybeStruct options);
  void open_session(Answer<Struct>, std::optional<std::int64_t> ttl_ms);
  void ping(Answer<Struct>, std::string session);
  void close_session(Answer<Struct>, std::string session);
  void watch(StreamAnswer<Struct>, std::string session);
  void watch_as(Reply&&, std::string session, bool once);

  void start(const std::string& method, Reply&&, std::vector<std::string> names, bool many, AcquireOptions);
  bool answer(Wanted&, Acquired);
  void give_back(const std::string& db, Lease, std::function<void(std::optional<Fault>)> done);
  Space* space(const std::string& db);
  Fault no_space(const std::string& db) const;
  void add_lost(Struct& answer, const std::string& session) const;
  Struct told(const Lock&, const std::string& db);
  template <class Do>
  void at_home(Reply&&, Do);

  Loop& home_;
  const Limits limits_;
  std::map<std::string, std::unique_ptr<Space>> spaces_;
  Sessions sessions_;
  std::atomic<Space::Id> last_id_{0};
};

}  // namespace sluice::lock
