#pragma once
// Connection: one HTTP client's socket, from its first byte to its close. Belongs to a Shard and its loop.

#include <optional>

#include "transports/net/http_server.h"
#include "transports/net/request_parser.h"

namespace sluice::http {

class Shard;

class Connection final : public Exchange, private Loop::Watcher {
 public:
  Connection(Shard& shard, int fd, std::unique_ptr<TlsStream> tls);  // tls: nullptr for plain HTTP
  ~Connection() override;

  void start();
  void send(Response&&) override;
  void respond(std::uint64_t ticket, Outcome&&) override;
  std::string address() const override;
  std::string_view certificate() override;

  // Answers what runs, then closes; an idle connection closes now.
  void drain();
  void close();

 private:
  // What the connection waits for; each has its own limit of time.
  enum class Phase : std::uint8_t { idle, headers, body, running, writing, lingering, closed };

  void on_ready(std::uint32_t events) override;
  void work(std::uint32_t events);
  void read();
  ssize_t receive();
  ssize_t transmit(const char* bytes, std::size_t count);
  void consume(std::string_view bytes);
  void serve();
  void refuse(int status, std::string_view why);
  void head(int status, std::string_view content_type, std::size_t length, std::string_view more_headers);
  void finish_request();
  void resume();
  void flush();
  void sent_all();
  void enter(Phase);
  void on_time();
  void arm(Clock::time_point);

  Shard& shard_;
  int fd_;
  const std::unique_ptr<TlsStream> tls_;
  Phase phase_ = Phase::idle;
  bool readable_ = false;     // epoll said so and we have not read to the end
  bool peer_closed_ = false;  // its sending side; it may still read
  bool asked_ = false;        // whether it does, of the running request
  bool consuming_ = false;    // consume() is on the stack and goes on by itself after an answer
  bool closing_ = false;      // after the answers that are due
  bool continued_ = false;    // 100 Continue was sent for the request being read
  bool keeps_alive_ = true, http_1_0_ = false, accepts_gzip_ = false;  // of the running request
  std::optional<RequestParser> parser_;  // while a request is being read
  std::string pending_;                  // bytes that arrived and wait their turn
  std::string out_;                      // bytes that the socket did not take
  std::size_t lingered_ = 0;
  Clock::time_point due_ = kNoDeadline, timer_at_ = kNoDeadline;
  Timer timer_;
};

}  // namespace sluice::http
