#include "gateway/access/user.h"

#include <algorithm>

namespace sluice::access {
namespace {

bool allows(const Role& role, const Method& method) {
  if (method.free_sql && role.statements == "named") return false;
  if (method.free_sql && role.statements == "read" && method.effect == Effect::write) return false;
  return std::ranges::any_of(role.methods, [&](const std::string& glob) { return matches(glob, method.name); });
}

}  // namespace

bool User::may_use(std::string_view database) const noexcept {
  return std::ranges::any_of(role_.databases, [&](const std::string& glob) { return matches(glob, database); });
}

bool Pace::take(std::int64_t most, std::chrono::nanoseconds time, Clock::time_point now_point) noexcept {
  if (most == 0) return true;
  const std::int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(now_point.time_since_epoch()).count();
  std::int64_t next = next_ns_.load(std::memory_order_relaxed);
  for (;;) {
    const std::int64_t due = std::max(next, now) + time.count() / most;
    if (due > now + time.count()) return false;
    if (next_ns_.compare_exchange_weak(next, due, std::memory_order_relaxed)) return true;
  }
}

std::optional<std::string> Thinned::take(std::int64_t a_minute, Clock::time_point now) {
  if (!pace_.take(a_minute, std::chrono::minutes(1), now)) {
    unwritten_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  const std::int64_t unwritten = unwritten_.exchange(0, std::memory_order_relaxed);
  return unwritten ? ",\"unwritten\":" + std::to_string(unwritten) : "";
}

User::User(std::string name, std::string login, Role role, std::shared_ptr<Usage> usage, const Dispatcher& methods)
    : name_(std::move(name)), login_(std::move(login)), role_(std::move(role)), usage_(std::move(usage)) {
  for (const auto& [key, method] : methods.methods())
    if (allows(role_, method)) methods_.insert(&method);
}

}  // namespace sluice::access
