#pragma once
// Source: a stream of results, pulled. Whoever reads it sets the pace, so a paused reader costs
// at most what it asked for. Destroying a Source cancels what it still does.

#include <memory>
#include <optional>

#include "rpc/fault.h"
#include "rpc/function.h"

namespace sluice {

class Source {
 public:
  struct Batch {
    Value::Array items;          // at most as many as asked for; empty only at the end
    bool end = false;            // nothing comes after these items
    std::optional<Fault> fault;  // the stream broke after these items; implies the end
  };
  using Receiver = UniqueFunction<void(Batch)>;

  virtual ~Source() = default;

  // Asks for up to `most` (>= 1) items. `receive` is called once, on the loop of the Reply that
  // carried this Source: at once from within pull(), or later, but never after the Source was
  // destroyed. One pull at a time.
  virtual void pull(std::size_t most, Receiver receive) = 0;
};

struct GatherLimits {
  std::size_t items = 100'000;
  std::size_t bytes = 64 << 20;  // by footprint()
};

// Reads `source` to its end into one array for a caller whose wire has no streams. More than the
// limits is the fault too_large. `done` is called on the same loop, once.
void gather(std::unique_ptr<Source> source, GatherLimits limits, UniqueFunction<void(std::variant<Value, Fault>)> done);

}  // namespace sluice
