#pragma once
// Zap: answers libzmq's question whether a peer may connect (ZeroMQ RFC 27), on a thread of its own. Whoever has proved that a key
// is his may; what he may call is decided call by call, where a refusal can say why.

#include <thread>
#include <zmq.hpp>

namespace sluice::zerorpc {

class Zap {
 public:
  explicit Zap(zmq::context_t&);  // before the first bind
  ~Zap();                         // after the context was shut down

 private:
  void run();
  zmq::socket_t socket_;
  std::thread thread_;
};

}  // namespace sluice::zerorpc
