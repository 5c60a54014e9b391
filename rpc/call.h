#pragma once
// Call: one request, and what the transport knows about it.

#include <string>
#include <string_view>

#include "rpc/clock.h"
#include "rpc/value.h"

namespace sluice {

struct Call {
  std::string method;
  Value::Array args;
  Deadline deadline = kNoDeadline;  // the transport answers deadline_exceeded then and cancels the work
  std::string_view transport;       // "xmlrpc", "zerorpc"; a literal
};

}  // namespace sluice
