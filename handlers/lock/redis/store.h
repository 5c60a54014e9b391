#pragma once
// RedisStore: leases on one Redis master. Each operation is one script, and the clock is the server's. Lost data are noticed, and the
// server is closed until what it forgot has ended: see redis::Guard.

#include "handlers/lock/redis/server.h"

namespace sluice::lock {

class RedisStore final : public LeaseStore {
 public:
  struct Options {
    std::string file;                 // where this gateway remembers the server's past
    std::int64_t epoch = 0;           // tokens begin above it
    milliseconds limit{2000};         // of an operation; then its outcome is unknown, or nothing happened
    milliseconds forget{86'400'000};  // the last tokens of names that nobody locks are kept for so long
    redis::Link::Limits link{};
  };

  // Throws std::runtime_error when the file cannot be read.
  RedisStore(Loop& home, const redis::Address& address, Options options);
  ~RedisStore() override;

  std::string_view backend() const override { return "redis"; }
  void acquire(Acquire, UniqueFunction<void(Acquired)>) override;
  void undo(Acquire, UniqueFunction<void(Change)>) override;
  void release(Lease, UniqueFunction<void(Change)>) override;
  void renew(Lease, milliseconds ttl, UniqueFunction<void(Change)>) override;
  void force_release(std::string name, UniqueFunction<void(Listing)>) override;
  void inspect(std::string name, UniqueFunction<void(Listing)>) override;
  void list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)>) override;
  std::unique_ptr<Watch> watch(std::string name, UniqueFunction<void()> freed) override;

 private:
  void change(const redis::Script& script, redis::Words keys, redis::Words arguments, milliseconds ttl, UniqueFunction<void(Change)> done);

  Loop& home_;
  const milliseconds limit_;
  const std::string forget_;
  Server server_;
};

}  // namespace sluice::lock
