// zerorpc from C++, by hand: cppzmq for the socket, msgpack-c for the event.    cpp_zerorpc [ENDPOINT]

#include <iostream>
#include <map>
#include <msgpack.hpp>
#include <zmq.hpp>

int main(int argc, char** argv) {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::dealer);
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::rcvtimeo, 30'000);
  socket.connect(argc > 1 ? argv[1] : "tcp://127.0.0.1:4243");

  // An event: [header, name, args]. The answer's header repeats our message_id as response_to.
  msgpack::sbuffer event;
  msgpack::packer<msgpack::sbuffer> pack(event);
  pack.pack_array(3);
  pack.pack_map(2);
  pack.pack("message_id"), pack.pack("hello-1");
  pack.pack("v"), pack.pack(3);
  pack.pack("add");
  pack.pack(std::tuple(88, 77));
  socket.send(zmq::message_t(), zmq::send_flags::sndmore);
  socket.send(zmq::buffer(event.data(), event.size()), zmq::send_flags::none);

  zmq::message_t empty, answer;
  if (!socket.recv(empty) || !socket.recv(answer)) {
    std::cerr << "no answer\n";
    return 1;
  }
  msgpack::object_handle unpacked = msgpack::unpack(answer.data<char>(), answer.size());
  const auto parts = unpacked.get().as<std::vector<msgpack::object>>();
  std::cout << parts.at(1).as<std::string>() << " " << parts.at(2).as<std::vector<int>>().at(0) << "\n";
}
