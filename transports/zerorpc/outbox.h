#pragma once
// Outbox: gathers the answers of one turn and sends them together at its end, so that libzmq's thread
// is woken once and not for each. Keeps what a slow caller has no room for, up to a bound.

#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "rpc/clock.h"
#include "transports/zerorpc/router.h"

namespace sluice::zerorpc {

class Outbox {
 public:
  struct Limits {
    std::size_t caller_bytes = 4 * 1024 * 1024;  // kept for one caller that does not read, beyond libzmq's own queue
    std::size_t total_bytes = 64 * 1024 * 1024;  // kept for all of them
    std::chrono::milliseconds patience{30'000};  // with one of them
  };

  Outbox(Router& router, Limits limits) : router_(router), limits_(limits) {}

  // The buffer to which the payload of a message for `to` is appended; then finish() or take_back() it.
  std::string& begin(const Address& to);
  std::size_t written() const noexcept { return bytes_.size() - payload_at_; }  // of the payload begun
  void finish();
  void take_back();

  // Sends what was gathered. Callers that are gone, or were given up on, are added to `lost`.
  void flush(Clock::time_point now, std::vector<std::string>& lost);
  // Tries the slow callers again; those that have caught up are added to `resumed`.
  void retry(Clock::time_point now, std::vector<std::string>& lost, std::vector<std::string>& resumed);

  bool empty() const noexcept { return counts_.empty() && slow_.empty(); }
  bool full() const noexcept { return bytes_.size() > kFlushBytes; }  // time to flush before the turn's end
  bool slow(const std::string& identity) const { return !slow_.empty() && slow_.contains(identity); }
  bool any_slow() const noexcept { return !slow_.empty(); }

 private:
  static constexpr std::size_t kFlushBytes = 256 * 1024;

  struct Message {
    std::string bytes;
    std::vector<std::size_t> lengths;
  };
  struct Slow {
    std::deque<Message> messages;
    std::size_t bytes = 0;
    Clock::time_point since;
  };

  bool keep(std::string_view bytes, const std::size_t* lengths, std::size_t count, Clock::time_point now);
  void forget(const std::string& identity);

  Router& router_;
  Limits limits_;
  // All messages of the turn: frames end to end, their lengths, and how many of them make a message.
  std::string bytes_;
  std::vector<std::size_t> lengths_, counts_;
  std::size_t begun_at_ = 0, payload_at_ = 0, begun_lengths_ = 0;
  std::unordered_map<std::string, Slow> slow_;  // by identity
  std::size_t slow_bytes_ = 0;
};

}  // namespace sluice::zerorpc
