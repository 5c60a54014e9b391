#include "transports/net/http_server.h"

#include "transports/net/shard.h"

namespace sluice::http {

Server::Server(Service& service, std::span<Loop* const> loops, Options options) : options_(std::move(options)) {
  for (Loop* loop : loops) shards_.push_back(std::make_unique<Shard>(service, *loop, options_, connections_));
}

Server::~Server() = default;

void Server::start() {
  port_ = options_.port;
  for (auto& shard : shards_) port_ = shard->listen(port_, shards_.size() > 1);
}

void Server::drain(UniqueFunction<void()> done) {
  struct Waiting {
    explicit Waiting(std::size_t left, UniqueFunction<void()> done) : left(left), done(std::move(done)) {}
    std::atomic<std::size_t> left;
    UniqueFunction<void()> done;
  };
  auto waiting = std::make_shared<Waiting>(shards_.size(), std::move(done));
  for (auto& shard : shards_)
    shard->loop.post([shard = shard.get(), waiting] {
      shard->drain([waiting] {
        if (waiting->left.fetch_sub(1) == 1) waiting->done();
      });
    });
}

}  // namespace sluice::http
