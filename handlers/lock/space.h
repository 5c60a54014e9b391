#pragma once
// Space: the locks of one store, and those who wait for them. It asks the store, lets nobody overtake, keeps the limits of
// time whatever the store does, and takes back what was granted too late. On one loop.

#include <memory>
#include <optional>
#include <unordered_map>

#include "handlers/lock/lease_store.h"
#include "handlers/lock/queue.h"
#include "rpc/loop.h"

namespace sluice::lock {

class Space {
 public:
  using Id = Queue::Id;
  using Done = UniqueFunction<bool(Acquired)>;  // false: the caller is gone, a grant is taken back

  struct Limits {
    std::size_t waiters = 10'000;
    std::size_t undos = 10'000;     // beyond that a lost grant ends with its lease
    milliseconds grace{200};        // beyond wait_ms, for an answer of the store that is on its way
    milliseconds attempt{1000};     // for the store's answer to someone who does not wait
  };

  Space(Loop& home, std::unique_ptr<LeaseStore> store, Limits limits);
  ~Space();

  LeaseStore& store() noexcept { return *store_; }
  const Queue& queue() const noexcept { return queue_; }

  // `done` is called once, at once or later, unless cancel(id) comes before. `id` is the caller's choice, not 0, of one call alone.
  void acquire(Id id, Acquire, milliseconds wait, Done done);
  void cancel(Id);

  void release(Lease, UniqueFunction<void(Change)>);
  void force_release(std::string name, UniqueFunction<void(Listing)>);
  void undo(Acquire);  // until it worked, or the leases have ended

 private:
  struct Waiter;
  struct Undo;

  Waiter* find(Id) noexcept;
  void watch(Waiter&);
  void ask(Waiter&);
  void answered(Id, Acquired);
  void refused(Waiter&, Held);
  void failed(Waiter&, const Fault&);
  void out_of_time(Id);
  void stand_in_line(Waiter&);
  void leave(Waiter&, bool forget);
  void finish(Waiter&, Acquired);
  void poke(Id);
  void wake(const std::string& name) { poke(queue_.front(name)); }
  void try_undo(std::uint64_t);

  Loop& home_;
  const std::unique_ptr<LeaseStore> store_;
  const Limits limits_;
  Queue queue_;
  std::unordered_map<Id, std::unique_ptr<Waiter>> waiters_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Undo>> undos_;
  std::uint64_t last_undo_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // the store may answer when the space is gone
};

}  // namespace sluice::lock
