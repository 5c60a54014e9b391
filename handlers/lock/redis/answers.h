#pragma once
// What the scripts by which Redis keeps leases answer, as values.

#include "handlers/lock/lease_store.h"

namespace sluice::lock {

inline const Value::Array& array(const Value& value) { return *value.get_if<Value::Array>(); }
inline std::int64_t integer(const Value& value) { return *value.get_if<std::int64_t>(); }
inline const std::string& text(const Value& value) { return *value.get_if<std::string>(); }

inline Token token(const Value& epoch, const Value& counter) { return first_token(integer(epoch)) + integer(counter); }
inline std::string epoch_of(Token token) { return std::to_string(token >> 48); }
inline std::string counter_of(Token token) { return std::to_string(token & ((Token{1} << 48) - 1)); }

// What the holder may rely on, of a lease that has so much left on the server: its clock may run a little faster than ours.
inline BootClock::time_point safe(BootClock::time_point sent, milliseconds left) { return sent + left - left / 100 - milliseconds(2); }

Holder holder_of(const std::string& name, const Value& told);
Lock lock_of(std::string name, const Value& told);
inline bool is_held(const Value& told) { return !array(array(told)[2]).empty(); }
Held held_of(const std::vector<std::string>& names, const Value::Array& told);  // of ["held", ...]
Kept kept_of(const Value::Array& told);                                          // of ["kept", ...]; without `until`
Fault closed(const std::string& server, const Value::Array& told);               // of ["closed", ...]
Fault undone();

}  // namespace sluice::lock
