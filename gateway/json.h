#pragma once
// JSON for the command line: arguments in, answers out. What JSON has no form for travels as an object with one key:
// {"$base64": "aGk="} for bytes, {"$datetime": "20261123T14:05:00"} for a time in UTC, {"$ext": [5, "aGk="]} for msgpack's.

#include <nlohmann/json.hpp>
#include <string>

#include "rpc/value.h"

namespace sluice {

Value from_json(const nlohmann::ordered_json&);  // throws std::runtime_error on a wrong $-object
nlohmann::ordered_json to_json(const Value&);

// An argument of the command line: JSON, or, when it is none, the text itself.
Value argument(const std::string& text);

}  // namespace sluice
