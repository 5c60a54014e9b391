#pragma once
// Memory: what a gateway knows of a Redis server's past, in a small durable file, so that it notices when the server knows less.

#include <cstdint>
#include <string>

namespace sluice::redis {

struct Known {
  std::string id;            // of the server's data, made when they began anew
  std::int64_t epoch = 0;    // how often that was; the upper part of fencing tokens
  std::int64_t longest = 0;  // milliseconds: no lease was ever longer
  bool operator==(const Known&) const = default;
};

class Memory {
 public:
  explicit Memory(std::string file);  // throws std::runtime_error when it is there and cannot be read
  const Known& known() const noexcept { return known_; }
  // On disk before it returns. Gateways of one machine may share the file: it keeps the most that any of them knew. Throws Fault
  // (unavailable). A disk's write each time, so only when there is something new.
  void learn(const Known&);

 private:
  const std::string file_;
  Known known_;
};

}  // namespace sluice::redis
