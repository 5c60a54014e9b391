#pragma once
// Store: where gateways agree about ids. It leases worker ids, each with a durable mark; it hands out segments of named tags; and
// it offers the backend's own sequence. It forgets nothing that it acknowledged.
//
// A store belongs to one loop: its methods are called there and answer there, exactly once, at once or later, each within the
// store's own limit of time whatever became of the backend. A Fault of any kind may leave an operation done or not done: all of
// them are safe to repeat, at the cost of a gap.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "rpc/fault.h"
#include "rpc/function.h"

namespace sluice::id {

// Marks are Unix milliseconds, whatever the layout. A worker gives no id at or above its mark, and whoever gets the worker id
// after it starts at or above that mark: so ids are unique though a gateway was paused, killed or fenced at any moment.
struct Claim {
  std::string space;
  std::string layout;    // Layout::describe(); the store refuses (conflict) one that differs from what the space began with
  std::string gateway;   // the gateway's name, the same after a restart; several may share one
  std::string instance;  // this process's alone
  std::int64_t workers = 1024;   // worker ids are 0 to workers - 1
  std::int64_t floor_ms = 0;     // start no lower: the time, or the first instant above all that this process gave
  std::int64_t window_ms = 3000;  // the mark is so far above the start
  std::int64_t lease_ms = 10'000;  // the worker id is nobody else's for so long after each extension
};

// The worker id is the lowest one whose lease has ended, by the store's clock. start_ms = max(floor_ms, the worker's mark, the
// highest mark that a gateway of this name had); mark_ms = start_ms + window_ms, durable for both before the answer.
struct Tenure {
  std::int64_t worker = 0;
  std::int64_t epoch = 0;  // how often this worker id was claimed; extend() and release() name it
  std::int64_t start_ms = 0;
  std::int64_t mark_ms = 0;
};
struct Exhausted {
  std::int64_t retry_ms = 0;  // until the first lease ends, if it is not extended
};
using Claimed = std::variant<Tenure, Exhausted, Fault>;
Fault another_layout(const Claim&, const std::string& in_store);  // conflict; for stores

struct Extend {
  std::string space;
  std::string gateway;
  std::string instance;
  std::int64_t worker = 0, epoch = 0;
  std::int64_t mark_ms = 0;   // the mark becomes at least that
  std::int64_t lease_ms = 10'000;
};
// `kept` is false when the worker id was claimed by someone else since: fenced off. A lease that ended, but was not claimed, is
// taken up again.
struct Kept {
  bool kept = false;
};
using Extended = std::variant<Kept, Fault>;

// A named row of numbers: start, start + delta, start + 2 delta, ... A `remainder` of 0 or more moves the start up to the first
// number with that remainder modulo delta: several stores without coordination share a tag so. A store is given `start` moved.
struct Tag {
  std::string name;
  std::int64_t start = 1;
  std::int64_t step = 1000;  // numbers in the smallest segment
  std::int64_t delta = 1;
  std::int64_t remainder = -1;
  bool anew = false;  // for a store that lost its data: the caller says that the start is above all numbers that were given
};
// The first number of a tag that is made so: its start, moved up to the remainder.
constexpr std::int64_t first_of(const Tag& tag) {
  return tag.remainder < 0 ? tag.start : tag.start + ((tag.remainder - tag.start) % tag.delta + tag.delta) % tag.delta;
}
struct Created {
  bool created = false;  // false: it was there, and was not changed
  Tag tag;               // as it is now
};
using Creation = std::variant<Created, Fault>;

struct Segment {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t delta = 1;
  std::int64_t step = 1000;  // the tag's
};
using Reserved = std::variant<Segment, Fault>;
Fault unknown_tag(const std::string& tag);  // not_found; for stores
Fault spent_tag(const std::string& tag, std::int64_t next);  // too_large; for stores

using Number = std::variant<std::int64_t, Fault>;

class Store {
 public:
  virtual ~Store() = default;
  virtual std::string_view backend() const = 0;  // "sqlite", "redis"; a literal

  virtual void claim(Claim, UniqueFunction<void(Claimed)>) = 0;
  virtual void extend(Extend, UniqueFunction<void(Extended)>) = 0;
  // The lease ends now, and the mark may go down to mark_ms: nothing at or above it was given. The gateway ends; no answer is
  // waited for longer than a moment.
  virtual void release(Extend, UniqueFunction<void(Extended)>) = 0;

  virtual void create(Tag, UniqueFunction<void(Creation)>) = 0;
  // The next `count` numbers of a tag; 0: as many as its step says. Numbers end at 2^63 - 1: too_large beyond.
  virtual void reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)>) = 0;

  // The next number of the backend's own sequence of that name (AUTO_INCREMENT, nextval, INCR), made at the first call.
  virtual void sequence(std::string tag, UniqueFunction<void(Number)>) = 0;
};

// Where id.redis counts: (seconds since 2025-01-01 << 32) | a counter of that second, by one clock for all gateways. As a Store, it
// belongs to one loop and answers exactly once.
class Stamps {
 public:
  virtual ~Stamps() = default;
  virtual void stamp(std::string tag, UniqueFunction<void(Number)>) = 0;
};

}  // namespace sluice::id
