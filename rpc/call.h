#pragma once
// Call: one request, and what the transport knows about it.

#include <string>
#include <string_view>

#include "rpc/value.h"

namespace sluice {

struct Call {
  std::string method;
  Value::Array args;
  std::string_view transport;       // "xmlrpc", "zerorpc"; a literal
};

}  // namespace sluice
