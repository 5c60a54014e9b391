#pragma once
// Guard: notices when a Redis server has lost data, whoever noticed first, and keeps it closed until what it forgot has ended.
//
// The data carry an id and an epoch. A server that was started again (another run_id), that has no id, or whose epoch is lower than
// one that a gateway remembers, may have forgotten what it acknowledged: it gets a new id and the next epoch, and is closed for as long
// as the longest lease that this gateway knows of, and for 10 s at least. One that writes every change to disk before it answers (appendonly yes, appendfsync
// always) forgets nothing when it is started again.

#include <algorithm>
#include <string>

#include "handlers/redis/link.h"
#include "handlers/redis/memory.h"

namespace sluice::redis {

// A script that does nothing, and answers {'lost'}, on a server whose data have another id than the caller knows. Its first key is the server's
// hash and its first argument that id, as Guard::call() sends them. It finds `now` (milliseconds of the server's clock), `server` (id, epoch,
// open, longest, counter) and the function lasts(milliseconds), to be called with each lease that it gives.
Script guarded(const std::string& text);

class Guard {
 public:
  // `key` holds the server's part: a hash with id, run, epoch, counter (the last token's lower part), longest, open (until then it
  // is closed, milliseconds of the server's clock). `link` outlives the Guard, which starts it.
  Guard(Link& link, std::string key, std::string file, std::int64_t epoch);
  // `before_open`, if given, is called on each new connection, before those who wait for it: it may ask with Link::now().
  void start(UniqueFunction<void()> before_open = {});

  const std::string& key() const noexcept { return key_; }
  const std::string& id() const noexcept { return memory_.known().id; }

  std::int64_t epoch() const noexcept { return memory_.known().epoch; }
  bool is_durable() const noexcept { return durable_; }  // it writes each change to disk before it answers
  // An epoch that is begun because data were lost is above this one too, and not only above the server's own. Servers that begin
  // together begin alike.
  void begin_above(std::int64_t epoch) noexcept { above_ = std::max(above_, epoch); }

  // Before a lease of that length is asked for. Throws Fault (unavailable) when that cannot be remembered.
  void will_last(milliseconds ttl);
  // Runs a script that guarded() made; again when the server's data turn out to be others.
  void call(const Script& script, Words keys, Words arguments, milliseconds limit, Done done) { call(script, std::move(keys), std::move(arguments), limit, std::move(done), 2); }

 private:
  void call(const Script&, Words keys, Words arguments, milliseconds limit, Done, int attempts);
  void greet();
  void introduce();
  void agreed(const Answer&);

  Link& link_;
  const std::string key_;
  const std::int64_t epoch_;
  Memory memory_;
  UniqueFunction<void()> before_open_;
  std::string run_id_;
  bool durable_ = false;
  std::int64_t above_ = 0;
};

}  // namespace sluice::redis
