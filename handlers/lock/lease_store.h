#pragma once
// LeaseStore: where locks live. A store grants leases of named locks, each with a fencing token, and forgets none that it
// acknowledged. It queues nobody: who waits, in which order, and for how long is the handler's business.
//
// A store belongs to one loop: its methods are called there and answer there, exactly once, at once or later. Each operation
// is atomic, and ends within the store's own limit of time whatever became of the backend.
//
// Three outcomes, and nothing between: an ordinary answer; a Fault that says that nothing happened (unavailable, overloaded);
// or the Fault outcome_unknown, after which the caller runs undo() until it succeeds or the lease would have ended.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rpc/boot_clock.h"
#include "rpc/fault.h"
#include "rpc/function.h"

namespace sluice::lock {

using std::chrono::milliseconds;

// A fencing token: it never goes down for a name, whatever happens to the backend. 15 bits of epoch, which is raised when a
// backend was replaced or had lost its data, over 48 bits of counter.
using Token = std::int64_t;
constexpr Token first_token(std::int64_t epoch) { return epoch << 48; }  // tokens of the epoch are greater than that

// How many may hold a lock at once. All who do must agree on it: that makes exclusive, shared and counted locks one thing.
inline constexpr std::int64_t kExclusive = 1;
inline constexpr std::int64_t kShared = 0x7fffffff;

struct Acquire {
  std::vector<std::string> names;  // sorted, no two alike, at least one: all of them are granted, or none
  std::string owner;
  std::string nonce;               // of this request alone: a repeated one is not counted twice, and undo() knows it by that
  milliseconds ttl{0};
  std::int64_t slots = kExclusive;
  bool reentry_only = false;       // grant only what the owner holds already: others are waiting
  bool waits = false;              // refused, he will look again when the lock is freed: the refusal need not be the newest
  // More than 0: when shared holders are in the way, let no new ones in for that long. Lets a writer have his turn; a store
  // that cannot tell other gateways so leaves it to the handler's own queue.
  milliseconds intent{0};
};

// One name's lease. An owner who holds it already keeps his token, and `count` goes up; its end is never moved forward.
struct Grant {
  std::string name;
  Token token = 0;
  std::int64_t count = 1;
  BootClock::time_point until;  // the holder may rely on it up to then: measured from before the request left us
  bool fenced = true;           // false: the token is not durable, and the lock advisory
};

struct Holder {
  std::string name, owner;
  Token token = 0;
  std::int64_t slots = kExclusive;
  std::int64_t count = 1;
  milliseconds remaining{0};
  milliseconds held{0};  // since it was granted
};

struct Held {
  enum class Reason : std::uint8_t {
    held,            // others hold it, or a writer is to have his turn
    other_mode,      // the owner himself holds it, in another mode: waiting would not help
    not_yours,       // of reentry_only
  };
  Reason reason = Reason::held;
  Holder holder;  // who is in the way, the one whose lease ends first; without a name when nobody is to be named
};
using Acquired = std::variant<std::vector<Grant>, Held, Fault>;

// One holding, by what its grant said.
struct Lease {
  std::string name, owner;
  Token token = 0;
};

// Of release() and renew().
struct Kept {
  bool ok = false;                 // false: it is not (or no longer) held by that owner with that token
  std::int64_t count = 0;          // how often the owner holds it now
  BootClock::time_point until;     // of renew(): as in Grant
  Token newest = 0;                // the last token given for that name; more than the lease's: someone else had it since
};
using Change = std::variant<Kept, Fault>;

struct Lock {
  std::string name;
  Token newest = 0;             // the last token given; 0: never, as far as is known
  std::vector<Holder> holders;  // whose leases have not ended
};
using Listing = std::variant<std::vector<Lock>, Fault>;

class LeaseStore {
 public:
  // While it lives, someone waits for the lock.
  class Watch {
   public:
    virtual ~Watch() = default;
  };

  virtual ~LeaseStore() = default;
  virtual std::string_view backend() const = 0;  // "sqlite", "redis"; a literal

  virtual void acquire(Acquire, UniqueFunction<void(Acquired)>) = 0;
  // Takes back what the acquire with this nonce was granted, if it was, and its intent. Ok is true when nothing of it is left.
  virtual void undo(Acquire, UniqueFunction<void(Change)>) = 0;

  // Once less; the last one frees the lock. A lease that has ended is not released: ok is false.
  virtual void release(Lease, UniqueFunction<void(Change)>) = 0;
  // The lease ends `ttl` from now. One that has ended stays so.
  virtual void renew(Lease, milliseconds ttl, UniqueFunction<void(Change)>) = 0;
  // Takes it from all who hold it, and raises the token, so that a fence keeps them out. Answers those who held it, and the
  // raised token.
  virtual void force_release(std::string name, UniqueFunction<void(Listing)>) = 0;

  virtual void inspect(std::string name, UniqueFunction<void(Listing)>) = 0;               // one Lock
  virtual void list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)>) = 0;  // the held ones, by name

  // Calls `freed` each time the lock may have become free by another gateway's release, until the Watch is destroyed; once
  // too often does no harm. The end of a lease need not be told: the handler knows when that is. Never from within watch();
  // `freed` may destroy its Watch.
  virtual std::unique_ptr<Watch> watch(std::string name, UniqueFunction<void()> freed) = 0;
};

}  // namespace sluice::lock
