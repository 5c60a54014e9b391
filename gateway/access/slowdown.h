#pragma once
// Slowdown: who fails to log in has to wait, longer each time. Counted by address and by name; knows no clock of its own.

#include <string>
#include <unordered_map>

#include "rpc/clock.h"

namespace sluice::access {

class Slowdown {
 public:
  struct Limits {
    int free = 5;                                  // failures that cost nothing: people mistype
    std::chrono::milliseconds first{1000};         // to wait after the next; doubled by each one more
    std::chrono::milliseconds most{60'000};
    std::chrono::milliseconds forgotten{600'000};  // after so long without a failure
    std::size_t entries = 10'000;                  // the one whose wait ends first makes room
  };
  explicit Slowdown(Limits limits) : limits_(limits) {}

  // How long `who` has to wait before he is heard again; 0: not at all.
  std::chrono::milliseconds wait(const std::string& who, Clock::time_point now) const;
  void failed(const std::string& who, Clock::time_point now);
  void succeeded(const std::string& who) { failures_.erase(who); }
  std::size_t size() const noexcept { return failures_.size(); }

 private:
  struct Failures {
    int count = 0;
    Clock::time_point last{}, until{};
  };
  void make_room(Clock::time_point now);

  const Limits limits_;
  std::unordered_map<std::string, Failures> failures_;
};

}  // namespace sluice::access
