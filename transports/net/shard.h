#pragma once
// Shard: one loop's part of the HTTP server: its listener, its connections and the buffers they share.

#include <array>
#include <vector>

#include "transports/net/connection.h"

namespace sluice::http {

class Shard final : private Loop::Watcher {
 public:
  Shard(Service&, Loop&, const Server::Options&, std::atomic<std::size_t>& connections);
  ~Shard();

  // Binds and listens; answers the port. Throws std::runtime_error.
  std::uint16_t listen(std::uint16_t port, bool share);
  void drain(UniqueFunction<void()> done);  // on the loop

  Service& service;
  Loop& loop;
  const Limits& limits;
  // Shared by all connections of the loop, as each uses them within one callback only: an idle
  // connection holds no buffer.
  std::array<char, 64 << 10> input;
  std::string output;

  std::string_view date();  // the Date header, written once a second
  bool draining() const noexcept { return draining_; }
  void forget(int fd);  // the connection is closed

 private:
  void on_ready(std::uint32_t events) override;
  void turn_away(int fd);
  void accept_one(int fd);
  void give_way();
  void stop_listening();

  const Server::Options& options_;
  std::atomic<std::size_t>& count_;  // of all shards
  int listener_ = -1;
  int spare_ = -1;  // given up for a moment when the process has no descriptor left
  bool draining_ = false;
  std::vector<std::shared_ptr<Connection>> connections_;  // by descriptor
  std::size_t open_ = 0;
  UniqueFunction<void()> drained_;
  Clock::time_point date_until_{};
  std::string date_;
};

}  // namespace sluice::http
