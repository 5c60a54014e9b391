#pragma once
// The methods that every zerorpc server has: _zerorpc_ping, _name, _list, _help, _args and _inspect.

#include <optional>
#include <string_view>
#include <variant>

#include "rpc/dispatcher.h"

namespace sluice::zerorpc {

// The answer of a built-in method, or nothing when `name` is none. `server_name` is what it says of itself; `caller`
// is told of what he may call.
std::optional<std::variant<Value, Fault>> call_builtin(std::string_view name, const Value::Array& args, const Dispatcher&,
                                                       std::string_view server_name, const Principal* caller);

inline bool is_reserved(std::string_view name) noexcept { return name.starts_with("_zerorpc_"); }

}  // namespace sluice::zerorpc
