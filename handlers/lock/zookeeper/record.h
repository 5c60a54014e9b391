#pragma once
// Record: what is known of one lock in ZooKeeper, and how the operations change it. Functions of plain data: a record as it was
// read, what the leader's clock shows, and what the record becomes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "handlers/lock/lease_store.h"

namespace sluice::lock::zookeeper {

// A token is the number (zxid) of the write that granted the lock, above its epoch. That number is not known before the write
// is done: what is written says "the number of this write", and a reader, who is told it with the node, fills it in.
struct Mark {
  Token token = 0;
  bool of_this_write = false;  // then `token` is the epoch's first, and the write's number is added to it
};

// Times are milliseconds of the leader's wall clock.
struct Lease {
  std::string owner, nonce;
  Mark mark;
  std::int64_t slots = kExclusive, count = 1;
  std::int64_t granted = 0, expires = 0, ttl = 0;
};

struct Record {
  Mark newest;
  std::int64_t wanted_until = 0;  // by a writer, who lets no new readers in
  std::string wanted_by;
  std::string change;  // names the release that wrote this, so that one whose answer was lost is known again
  std::vector<Lease> leases;
};

std::string write(const Record&);
// With the number of the write that the text came from. nullopt: it is no record.
std::optional<Record> read(std::string_view text, std::int64_t zxid);
void fill(Record&, std::int64_t zxid);  // after a write, what read() would answer

struct Time {
  std::int64_t earliest, latest;  // the leader's clock shows something between
};

// Without the leases that have surely ended.
void prune(Record&, Time);

// One name of an acquire. `zxid` is that of the last write of the record: the next one is greater.
bool holds(const Record&, const Acquire&);  // the owner, in this mode
bool blocked(const Record&, const Acquire&, Time);
void grant(Record&, const Acquire&, Time, std::int64_t epoch, std::int64_t zxid);
bool intend(Record&, const Acquire&, Time);  // false: no readers are waited for, or new ones are kept out already
Held judge(const std::vector<Record>&, const Acquire&, Time);
std::int64_t remaining(const Lease&, Time);  // as others see it: not less than there is

Mark next(const Record&, std::int64_t epoch, std::int64_t zxid);
Lease* find(Record&, const sluice::lock::Lease&);

}  // namespace sluice::lock::zookeeper
