#pragma once
// The Lua scripts by which a Redis server keeps leases: each is one atomic operation.
//
// Keys: the server's hash (see redis::Guard); for each lock a hash with t (its last token), w and b (until when and for whom new shared
// holders are kept out), and o<owner> for each holder (packed: slots, epoch, counter, count, nonce, granted, expires); for each request
// that was undone a key of its own, so that it is not granted when it arrives after all. Tokens are pairs (epoch, counter), since Lua's
// numbers hold 53 bits. Times are milliseconds of the server's clock.
//
// Masters that vote with others have scripts of their own: handlers/lock/redlock/scripts.h.
//
// The first argument of each is the id of the server's data. Answers begin with a word: lost (another id: nothing was done), closed
// (and for how long), held, granted, kept, locks.

#include <vector>

#include "handlers/redis/script.h"

namespace sluice::lock {

struct Scripts {
  redis::Script acquire;  // keys: server, undone, locks; id owner nonce ttl slots reentry intent forget
  redis::Script undo;     // keys: server, undone, locks; id owner nonce remember, then the channel of each lock; without them
                          // nobody is told, and an intent stays
  redis::Script release;  // keys: server, lock; id owner epoch counter channel
  redis::Script renew;    // keys: server, lock; id owner epoch counter ttl forget
  redis::Script force;    // keys: server, lock; id forget channel (of voters the proposed token: epoch counter)
  redis::Script look;     // keys: server, locks; id

  std::vector<const redis::Script*> all() const { return {&acquire, &undo, &release, &renew, &force, &look}; }
};
const Scripts& scripts();

}  // namespace sluice::lock
