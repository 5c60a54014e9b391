// The rival of the zerorpc transport: a bare libzmq ROUTER that answers every message with canned frames.
// It reads no msgpack and calls nothing: what libzmq itself costs.

#include <csignal>
#include <cstdio>
#include <string_view>
#include <zmq.hpp>

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: zmq_echo ENDPOINT\n"), 2;
  using namespace std::string_view_literals;
  // The answer to add(3, 4), as zerorpc-python writes it.
  constexpr std::string_view kAnswer =
      "\x93\x83\xaamessage_id\xc4\x20"
      "66dd0b71a03b4f6680d266d735681842\xa1v\x03\xabresponse_to\xc4\x20"
      "66dd0b71a03b4f6680d266d735681842\xa2OK\x91\x07"sv;
  std::signal(SIGTERM, [](int) { std::_Exit(0); });
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.set(zmq::sockopt::router_mandatory, true);
  socket.bind(argv[1]);
  zmq::message_t identity, frame;
  for (;;) {
    (void)socket.recv(identity);
    bool more = identity.more();
    while (more) {
      (void)socket.recv(frame);
      more = frame.more();
    }
    socket.send(identity, zmq::send_flags::sndmore);
    socket.send(zmq::const_buffer(), zmq::send_flags::sndmore);
    socket.send(zmq::buffer(kAnswer));
  }
}
