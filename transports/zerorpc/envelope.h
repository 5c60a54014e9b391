#pragma once
// Writes the head of an event in Python's order: message_id, v, trace_id, response_to, then the name. The args follow.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::zerorpc {

// Unique ids of our own events, in zerorpc-python's form: a counter in 8 hex digits and 24 random ones.
class MessageIds {
 public:
  MessageIds() { reseed(); }
  std::string_view next();  // 32 characters, valid until the next call

 private:
  void reseed();

  std::uint32_t counter_ = 0;
  std::array<char, 32> id_{};
};

// What an event says of the one it answers, in raw msgpack.
struct Answered {
  std::string_view message_id;  // empty or nil: the event carries no response_to
  std::string_view trace_id;    // empty: none
};

// Appends everything before the args. `id` is the event's own message_id.
void write_head(std::string& out, std::string_view id, const Answered&, std::string_view name);

std::string pack_id(std::string_view id);  // raw msgpack of one of our ids, to compare a response_to with

}  // namespace sluice::zerorpc
