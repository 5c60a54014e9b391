#pragma once
// What zerorpc-python's server does with odd names and arguments, so that its clients see no difference.

#include <string>
#include <variant>

#include "rpc/fault.h"

namespace sluice::zerorpc {

std::string python_repr(std::string_view text);          // 'it'  "it's"  'a\nb'
std::string python_repr_bytes(std::string_view octets);  // b'add'

// The method's name, or the fault for a name that is none: NameError with Python's str() of it, or
// TypeError for one that cannot be looked up.
std::variant<std::string, Fault> method_name(Value&& name);

// Python calls method(*args): a text gives its characters, a map its keys, octets their numbers.
std::variant<Value::Array, Fault> spread_arguments(const std::string& method, Value&& args);

// The one string of an ERR for a peer of version 1: "ValueError('bad thing')".
std::string python_exception(const Fault&);

}  // namespace sluice::zerorpc
