#include "handlers/lock/redis/answers.h"

#include <algorithm>

namespace sluice::lock {
Holder holder_of(const std::string& name, const Value& value) {
  const auto& told = array(value);
  return {name,
          text(told[0]),
          token(told[1], told[2]),
          integer(told[3]),
          integer(told[4]),
          milliseconds(integer(told[5])),
          milliseconds(integer(told[6]))};
}

Lock lock_of(std::string name, const Value& value) {
  const auto& told = array(value);
  Lock lock{std::move(name), token(told[0], told[1]), {}};
  for (const Value& each : array(told[2])) lock.holders.push_back(holder_of(lock.name, each));
  std::ranges::sort(lock.holders, {}, &Holder::remaining);
  return lock;
}

Held held_of(const std::vector<std::string>& names, const Value::Array& told) {
  const std::string& reason = text(told[1]);
  Held held{reason == "other_mode" ? Held::Reason::other_mode : reason == "not_yours" ? Held::Reason::not_yours : Held::Reason::held, {}};
  if (told.size() > 3 && !told[3].is_nil()) held.holder = holder_of(names[static_cast<std::size_t>(integer(told[2]))], told[3]);
  return held;
}

Kept kept_of(const Value::Array& told) {
  Kept kept;
  kept.ok = integer(told[1]) == 1;
  kept.count = integer(told[2]);
  kept.newest = token(told[3], told[4]);
  return kept;
}

Fault closed(const std::string& server, const Value::Array& told) {
  return Fault(Fault::Kind::unavailable, "Redis at " + server + " lost data, or may have: it grants nothing for another " +
                                             std::to_string(integer(told[1])) +
                                             " ms, until all leases that it may have forgotten have ended");
}

Fault undone() { return Fault(Fault::Kind::unavailable, "the request was taken back before it came"); }

}  // namespace sluice::lock
