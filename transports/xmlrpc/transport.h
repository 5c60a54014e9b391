#pragma once
// The XML-RPC transport: documents over HTTP become calls, outcomes become documents. docs/wire-xmlrpc.md.

#include "rpc/authenticator.h"
#include "rpc/transport.h"
#include "transports/net/http_server.h"
#include "transports/xmlrpc/reader.h"

namespace sluice::xmlrpc {

struct Options {
  http::Server::Options http;
  ReadLimits reader;
  std::size_t answer_bytes = 64 << 20;      // of one answer's document, before compression
  std::size_t gathered_items = 100'000;     // of a stream that is answered as one array
  std::int64_t call_ms = 60'000;            // the longest a call may run
  const std::atomic<bool>* ready = nullptr;  // what GET /ready tells; outlives the transport; nullptr: true
  Authenticator* authenticator = nullptr;   // outlives the transport; nullptr: nobody is asked who he is
};

class Transport final : public sluice::Transport, private http::Service {
 public:
  // `dispatcher` and `loops` outlive the transport.
  Transport(const Dispatcher& dispatcher, std::span<Loop* const> loops, Options options);

  std::string_view name() const override { return "xmlrpc"; }
  void start() override { server_.start(); }
  std::vector<std::string> endpoints() const override;  // "http://127.0.0.1:4242"
  void drain(UniqueFunction<void()> done) override { server_.drain(std::move(done)); }

 private:
  void serve(const http::Request&, http::Exchange&) override;
  void answer(http::Exchange&, Outcome&&) override;
  std::optional<http::Response> get(std::string_view target) override;
  void admit(const http::Request&, http::Exchange&);
  void go_on(Authenticator::Verdict, std::string_view body, http::Exchange&);
  void run(std::string_view body, http::Exchange&);
  std::int64_t call_ms() const override { return options_.call_ms; }

  const Dispatcher& dispatcher_;
  Options options_;
  http::Server server_;
};

}  // namespace sluice::xmlrpc
