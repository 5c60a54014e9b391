#pragma once
// Transport: brings calls in and answers out. Knows its wire and the dispatcher, no handler.

#include <string>
#include <string_view>
#include <vector>

#include "rpc/dispatcher.h"

namespace sluice {

class Transport {
 public:
  virtual ~Transport() = default;  // after the loops have stopped
  virtual std::string_view name() const = 0;

  // Before the loops run. Bound and listening on return; throws std::runtime_error that names the
  // endpoint, the cause and what to do.
  virtual void start() = 0;
  virtual std::vector<std::string> endpoints() const = 0;  // as bound: a port 0 shows as the real one

  // From any thread: takes nothing new, finishes and answers what runs, then calls `done` once, from
  // one of the loops. What is not done when the gateway's patience ends is cut by the destructor.
  virtual void drain(UniqueFunction<void()> done) = 0;
};

}  // namespace sluice
