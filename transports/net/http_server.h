#pragma once
// The HTTP/1.1 server beneath the XML-RPC transport: listeners, connections, limits. RFC 9110 and 9112.
// Each loop has a listener and connections of its own (SO_REUSEPORT spreads them); nothing is shared.

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/loop.h"
#include "rpc/reply.h"
#include "transports/net/http_limits.h"
#include "transports/net/tls.h"

namespace sluice::http {

// A whole POST request, its body unchunked and unzipped. The views hold until serve() returns.
struct Request {
  std::string_view target, content_type, body, authorization{};
};

struct Response {
  int status = 200;
  std::string_view content_type = "text/xml";
  std::string body;
  std::string headers{};  // further ones, each with its CR LF
};

// One connection as a service sees it: the place to answer the request that it is serving. A Reply made
// of it (with ticket()) may answer later and from any thread.
class Exchange : public Responder, public std::enable_shared_from_this<Exchange> {
 public:
  using Responder::Responder;
  virtual void send(Response&&) = 0;        // answers the running request; on loop(), once
  std::uint64_t ticket() const noexcept { return ticket_; }
  virtual std::string address() const = 0;          // the peer's, without its port
  virtual std::string_view certificate() = 0;       // the common name of the peer's, verified; "" without one

 protected:
  std::uint64_t ticket_ = 0;  // of the running request; an answer to an older one is dropped
};

// What the server serves. Called on the loop of the exchange.
class Service {
 public:
  virtual ~Service() = default;
  // Answers by exchange.send(), or makes a Reply of the exchange.
  virtual void serve(const Request&, Exchange&) = 0;
  // What a GET of `target` answers; nullopt: only POST is served there.
  virtual std::optional<Response> get(std::string_view target) = 0;
  // Turns the outcome of such a Reply into exchange.send(), at once or later.
  virtual void answer(Exchange&, Outcome&&) = 0;
  // The longest a request may run before answer() is given deadline_exceeded and the work is cancelled.
  virtual std::int64_t call_ms() const = 0;
};

class Shard;

class Server {
 public:
  struct Options {
    std::string host = "127.0.0.1";  // a numeric address, IPv4 or IPv6
    std::uint16_t port = 0;          // 0: any free one
    std::shared_ptr<Tls> tls{};      // nullptr: plain HTTP
    Limits limits;
  };

  // `service` and `loops` outlive the server.
  Server(Service& service, std::span<Loop* const> loops, Options options);
  ~Server();

  void start();  // before the loops run; throws std::runtime_error
  std::uint16_t port() const noexcept { return port_; }
  void drain(UniqueFunction<void()> done);  // from any thread

 private:
  Options options_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<std::size_t> connections_{0};
  std::uint16_t port_ = 0;
};

}  // namespace sluice::http
