#pragma once
// What callers of lock.* pass: the options of an acquire, and the lease they were given.

#include <optional>

#include "handlers/lock/lease_store.h"

namespace sluice::lock {

struct Limits {
  std::int64_t ttl_ms = 10'000;              // of a lease when the caller names none
  std::int64_t longest_ttl_ms = 3'600'000;
  std::int64_t longest_wait_ms = 3'600'000;  // the call's own limit of time comes first, as a rule
  std::int64_t waiters = 10'000;             // calls that wait for locks
  std::int64_t sessions = 10'000;
  std::int64_t session_leases = 1'000;       // of one session; and as many losses are remembered
  std::int64_t names = 64;                   // in one acquire_many
  std::int64_t listed = 1'000;               // locks in one list
  std::int64_t watch_ms = 25'000;            // how long lock.watch waits for news on a wire without streams
};

inline constexpr std::size_t kLongestName = 200;  // bytes, of locks and owners

struct AcquireOptions {
  std::string owner, session, db;
  std::optional<milliseconds> ttl;
  milliseconds wait{0};
  std::int64_t slots = kExclusive;
};

// All throw Fault (bad_arguments). `waits`: does this method take wait_ms?
AcquireOptions read_acquire(const std::string& method, const Value::Struct& given, const Limits&, bool waits);
milliseconds read_ttl(const std::string& method, const Value& given, const Limits&);
std::string read_name(const std::string& method, std::string name);
std::string read_db(const std::string& method, const std::optional<Value::Struct>& given);  // {"db": name} alone

// A lease as an acquire answered it, of one lock or of several.
struct LeaseArgument {
  std::string db, session;
  std::vector<Lease> leases;
};
LeaseArgument read_lease(const std::string& method, Value lease);
LeaseArgument read_lease(const std::string& method, Value lease, std::optional<Value> owner, std::optional<Value> token);

}  // namespace sluice::lock
