#pragma once
// RedisStore: worker ids, marks, tags and sequences on one Redis master, each operation one script. Lost data are noticed (see
// redis::Guard), and then nothing repeats: worker ids begin above the highest mark that any gateway knows of, which each keeps in a
// file of its own, once the leases that may be forgotten have ended; tags and sequences are refused until someone says where they go on.

#include <optional>
#include <string>

#include "handlers/id/local/high_mark.h"
#include "handlers/id/store.h"
#include "handlers/redis/guard.h"

namespace sluice::id {

class RedisStore final : public Store {
 public:
  struct Options {
    std::string file;                  // where this gateway remembers the server's past, and with -marks behind it the highest mark
    redis::milliseconds limit{2000};  // of an operation
  };

  // Throws std::runtime_error when what is remembered cannot be read, and Fault as KeptFile does.
  RedisStore(Loop& home, const redis::Address& address, Options options);

  std::string_view backend() const override { return "redis"; }
  void claim(Claim, UniqueFunction<void(Claimed)>) override;
  void extend(Extend, UniqueFunction<void(Extended)>) override;
  void release(Extend, UniqueFunction<void(Extended)>) override;
  void create(Tag, UniqueFunction<void(Creation)>) override;
  void reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)>) override;
  void sequence(std::string tag, UniqueFunction<void(Number)>) override;

 private:
  std::optional<Fault> will_last(std::int64_t ms);
  void raise();
  // Answers when the highest mark that was told of is in the file.
  template <class Outcome>
  UniqueFunction<void(Outcome)> remembered(UniqueFunction<void(Outcome)> done);
  void keep(const redis::Script&, Extend, redis::Words more, UniqueFunction<void(Extended)>);

  const Options options_;
  HighMark top_;  // of any gateway, as far as this one was told
  redis::Link link_;
  redis::Guard guard_;
};

}  // namespace sluice::id
