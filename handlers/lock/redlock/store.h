#pragma once
// RedlockStore: leases on several Redis masters that know nothing of each other. Each is asked at the same time over its own
// connection, and what enough of them say goes (votes.h): one that is dead, frozen or was emptied stops nothing and counts for nothing.
//
// Tokens are proposed by the gateway, from a clock that never goes back and is ahead of all tokens it has seen, so that masters
// agree in one round; where they do not, the highest is told to enough of them before it is granted. A name's next token is
// therefore higher as long as a majority keeps its data. See docs/locks.md for what is left.

#include <unordered_map>

#include "handlers/lock/redis/server.h"
#include "handlers/lock/redlock/scripts.h"
#include "handlers/lock/redlock/votes.h"

namespace sluice::lock {

class RedlockStore final : public LeaseStore {
 public:
  struct Options {
    std::string file;                 // where this gateway remembers the masters' past: one for each, with its name behind this
    std::int64_t epoch = 0;           // tokens begin above it
    milliseconds forget{86'400'000};  // as with one Redis
    redis::Link::Limits link{};
  };

  // Throws std::runtime_error unless that is a number of masters among which a majority can be found: odd, three or more.
  static void check_masters(std::size_t count);

  // Throws std::runtime_error as check_masters() does, or when a file cannot be read.
  RedlockStore(Loop& home, const std::vector<redis::Address>& masters, Options options);
  ~RedlockStore() override;

  std::string_view backend() const override { return "redlock"; }
  void acquire(Acquire, UniqueFunction<void(Acquired)>) override;
  void undo(Acquire, UniqueFunction<void(Change)>) override;
  void release(Lease, UniqueFunction<void(Change)>) override;
  void renew(Lease, milliseconds ttl, UniqueFunction<void(Change)>) override;
  void force_release(std::string name, UniqueFunction<void(Listing)>) override;
  void inspect(std::string name, UniqueFunction<void(Listing)>) override;
  void list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)>) override;
  std::unique_ptr<Watch> watch(std::string name, UniqueFunction<void()> freed) override;

 private:
  struct Master;
  struct Attempt;
  struct Changing;
  struct Looking;

  void ask(std::size_t master, const redis::Script&, redis::Words keys, redis::Words arguments, milliseconds limit, redis::Done);
  void owe(std::size_t master, const redis::Script&, redis::Words keys, redis::Words arguments, BootClock::time_point until);
  void settle_debts(std::size_t master);
  Token propose();

  void start(std::shared_ptr<Attempt>);
  void count(std::shared_ptr<Attempt>);
  void settle(std::shared_ptr<Attempt>);
  void late(const Attempt&, std::size_t master, const Vote&);
  void retract(const Attempt&);
  void retract(const Attempt&, std::size_t master);
  void rest(std::shared_ptr<Attempt>);
  void finish(Attempt&, Acquired);
  void remember_inner(const Lease&, const std::string& entry);
  std::string take_inner(const Lease&);

  void change(std::shared_ptr<Changing>, const redis::Script&, redis::Words keys, redis::Words arguments, milliseconds limit);
  void give_back(std::shared_ptr<Changing>, std::string entry);
  void mend(const Changing&, std::size_t master);
  void force(std::string name, Token proposed, std::vector<Holder> holders, int rounds, UniqueFunction<void(Listing)>);
  void look(std::shared_ptr<Looking>, std::size_t master, Server::Looks);
  template <class V>
  std::vector<V> ballot() const;
  Fault too_few(Fault::Kind, const std::vector<std::string>& why) const;

  Loop& home_;
  const milliseconds forget_;
  std::vector<std::unique_ptr<Master>> masters_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Attempt>> resting_;
  std::unordered_map<std::string, Entries> inner_;  // of leases that were entered again here: spares asking which entry to give back
  std::uint64_t last_attempt_ = 0;
  Token last_ = 0;  // the highest token proposed or seen
};

}  // namespace sluice::lock
