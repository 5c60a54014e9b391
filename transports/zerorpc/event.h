#pragma once
// Reads a zerorpc event, the msgpack array [header, name, args], from the bytes of a peer that is not trusted.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/fault.h"

namespace sluice::zerorpc {

struct EventLimits {
  std::size_t depth = 64;                     // arrays and maps inside one another, below the event itself
  std::size_t values = 1'000'000;             // of one event, at all depths
  std::size_t text_bytes = 16 * 1024 * 1024;  // of one str, bin or ext
  std::size_t id_bytes = 1024;                // message_id, response_to and trace_id, each
};

struct Event {
  // Raw msgpack, to be sent back untouched: a peer compares type and bytes. They point into the
  // payload; empty: the header lacks them.
  std::string_view message_id, response_to, trace_id;
  std::int64_t version = 0;  // 0: the header lacks it
  Value name;                // a string, as a rule
  Value args;                // an array, as a rule
  std::string refusal;       // of Reading::refused: what is wrong, what to do
  Fault::Kind refused_as = Fault::Kind::too_large;

  bool is_reply() const noexcept { return !response_to.empty() && response_to != "\xc0"; }
};

enum class Reading : std::uint8_t {
  event,
  refused,  // its header was read, but the rest is beyond a limit or no call: can be answered
  garbage,  // nothing that could be answered
};

// Reads one after the other; keeps its working memory in between.
class EventReader {
 public:
  explicit EventReader(EventLimits limits = {}) : limits_(limits) {}
  // Bytes after the event are ignored, as Python does. Never throws on account of the payload.
  Reading read(std::string_view payload, Event&);

 private:
  struct Container {
    Value::Array* array = nullptr;  // both nullptr: its content is checked, not kept
    Value::Struct* members = nullptr;
  };
  class Visitor;

  EventLimits limits_;
  std::vector<Container> open_;
};

}  // namespace sluice::zerorpc
