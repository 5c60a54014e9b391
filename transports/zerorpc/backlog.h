#pragma once
// Backlog: refuses the connections that wait in libzmq's listeners while the process has no descriptor left for them. libzmq has no
// pause there: accept() fails, the listener stays readable, and its I/O thread spins for as long as one waits.

#include <thread>
#include <zmq.hpp>

namespace sluice::zerorpc {

class Backlog {
 public:
  Backlog(zmq::context_t&, zmq::socket_t& listening);  // before the first bind
  ~Backlog();                                          // after the context was shut down

 private:
  void run();
  zmq::socket_t events_;  // libzmq's, of the listeners
  std::thread thread_;
};

}  // namespace sluice::zerorpc
