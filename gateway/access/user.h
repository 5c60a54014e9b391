#pragma once
// User: a caller who was known by his proof, with the rights of his roles worked out.

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "gateway/access/role.h"
#include "rpc/clock.h"
#include "rpc/dispatcher.h"
#include "rpc/principal.h"

namespace sluice::access {

// So many in a time, and no more. From any thread.
class Pace {
 public:
  // One more: is it within `most` in each `time`? As many may come at once. Else nothing is counted. 0: no limit.
  bool take(std::int64_t most, std::chrono::nanoseconds time, Clock::time_point now) noexcept;

 private:
  std::atomic<std::int64_t> next_ns_{0};  // when the one after those so far would be due at an even pace
};

// Lines of the audit log of which a stranger could write any number: so many in a minute, and each tells how many before it were left
// out. From any thread.
class Thinned {
 public:
  // What belongs to the line: nothing, or ",\"unwritten\":N". nullopt: it is left out.
  std::optional<std::string> take(std::int64_t a_minute, Clock::time_point now);

 private:
  Pace pace_;
  std::atomic<std::int64_t> unwritten_{0};
};

// What a user has used of his limits. Shared by all of his logins, and kept over a reload.
struct Usage {
  Pace calls;
  std::atomic<std::int64_t> in_flight{0};
  Thinned misses;  // calls of names that are not served
};

class User final : public Principal {
 public:
  // `login` tells one of his ways in from the others, and is the same after a reload.
  User(std::string name, std::string login, Role role, std::shared_ptr<Usage> usage, const Dispatcher& methods);

  const std::string& name() const noexcept override { return name_; }
  bool may_call(const Method& method) const noexcept override { return methods_.contains(&method); }
  bool may_use(std::string_view database) const noexcept override;
  bool may_write() const noexcept override { return role_.statements == "write"; }

  const std::string& login() const noexcept { return login_; }
  const Role& role() const noexcept { return role_; }
  Usage& usage() const noexcept { return *usage_; }

 private:
  const std::string name_, login_;
  const Role role_;
  const std::shared_ptr<Usage> usage_;
  std::unordered_set<const Method*> methods_;  // of the dispatcher, which outlives us
};

}  // namespace sluice::access
