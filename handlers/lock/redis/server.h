#pragma once
// Server: a Redis master that keeps leases, whether it decides alone or is one of several that vote. It runs the scripts, with what
// redis::Guard must know of each. On one loop.

#include <deque>

#include "handlers/lock/lease_store.h"
#include "handlers/lock/redis/scripts.h"
#include "handlers/redis/guard.h"
#include "handlers/redis/subscriber.h"

namespace sluice::lock {

class Server {
 public:
  struct Options {
    std::string prefix;      // of all its keys
    std::string file;        // where this gateway remembers the server's past
    std::int64_t epoch = 0;  // tokens begin above it
    redis::Link::Limits link{};
  };

  // Throws std::runtime_error when the file cannot be read.
  Server(Loop& home, const redis::Address& address, Options options);
  // The scripts are given to the server on each new connection, so that it carries out calls in the order in which they were made: one
  // whose script it has not got is sent again behind the others. `before_open` is called then, before those who wait for it.
  void start(std::vector<const redis::Script*> scripts, UniqueFunction<void()> before_open = {});

  const std::string& name() const noexcept { return link_.address().name; }
  redis::Guard& guard() noexcept { return guard_; }

  std::string key(const std::string& lock) const { return prefix_ + ":" + lock; }
  std::string channel(const std::string& lock) const { return prefix_ + ".freed:" + lock; }
  std::string undone(const std::string& nonce, const std::string& lock) const { return prefix_ + ".undone:" + nonce + ":" + lock; }

  void run(const redis::Script& script, redis::Words keys, redis::Words arguments, milliseconds limit, redis::Done done);
  // The same from within before_open.
  void run_first(const redis::Script& script, redis::Words keys, redis::Words arguments, milliseconds limit, redis::Done done);

  // What the script says of each name; list() leaves out those that nobody holds.
  using Looks = std::variant<std::vector<std::pair<std::string, Value>>, Fault>;
  void look(const redis::Script& script, std::vector<std::string> names, milliseconds limit, UniqueFunction<void(Looks)> done);
  void list(const redis::Script& look, std::string prefix, std::size_t most, milliseconds limit, UniqueFunction<void(Looks)> done);
  std::unique_ptr<LeaseStore::Watch> watch(const std::string& name, UniqueFunction<void()> freed);

 private:
  struct Search;
  void scan(std::shared_ptr<Search> search);
  void look_further(std::shared_ptr<Search> search);

  const std::string prefix_;
  redis::Link link_;
  redis::Guard guard_;
  redis::Subscriber subscriber_;
};

}  // namespace sluice::lock
