#pragma once
// RedisStamps: id.redis on one Redis master: the second, and a counter of it. A connection of its own, so that any store may be beside it.

#include "handlers/id/store.h"
#include "handlers/redis/guard.h"

namespace sluice::id {

class RedisStamps final : public Stamps {
 public:
  struct Options {
    std::string file;                  // where this gateway remembers the server's past
    redis::milliseconds limit{2000};  // of an operation
  };

  // Throws std::runtime_error when the file cannot be read.
  RedisStamps(Loop& home, const redis::Address& address, Options options);

  void stamp(std::string tag, UniqueFunction<void(Number)>) override;

 private:
  const Options options_;
  redis::Link link_;
  redis::Guard guard_;
};

}  // namespace sluice::id
