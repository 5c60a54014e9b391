#pragma once
// Reader: an XML-RPC document becomes values, in one strict pass over the bytes. XML 1.0 well-formedness as far as an
// XML-RPC document can use it; no DOCTYPE, so no entities but the five. docs/wire-xmlrpc.md says what is taken.

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "rpc/fault.h"
#include "rpc/value.h"

namespace sluice::xmlrpc {

struct ReadLimits {
  std::size_t depth = 64;            // arrays and structs within each other
  std::size_t values = 1'000'000;    // in one document, each of at least 7 bytes
};

struct MethodCall {
  std::string method;
  Value::Array params;
};

// What a methodResponse with a fault says.
struct RemoteFault {
  std::int64_t code = 0;
  std::string text;
};

// Both throw Fault: parse_error (not well-formed), unsupported_encoding, invalid_character, invalid_request (XML, but no
// call or no response), bad_arguments (a value that its type does not allow), too_large. Messages carry line and column.
MethodCall read_call(std::string_view document, const ReadLimits& = {});
std::variant<Value, RemoteFault> read_response(std::string_view document, const ReadLimits& = {});

}  // namespace sluice::xmlrpc
