#include "transports/zerorpc/zap.h"

#include <array>
#include <string>
#include <vector>

namespace sluice::zerorpc {

Zap::Zap(zmq::context_t& context) : socket_(context, zmq::socket_type::rep) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::thread([this] { run(); });
}

Zap::~Zap() { thread_.join(); }

void Zap::run() {
  try {
    for (;;) {
      std::vector<std::string> frames;  // version, request id, domain, address, identity, mechanism, credentials
      zmq::message_t frame;
      do {
        [[maybe_unused]] auto got = socket_.recv(frame);
        frames.push_back(frame.to_string());
      } while (frame.more() && frames.size() < 16);
      std::array<char, 41> key{};
      const bool curve = frames.size() == 7 && frames[5] == "CURVE" && frames[6].size() == 32 &&
                         zmq_z85_encode(key.data(), reinterpret_cast<const unsigned char*>(frames[6].data()), 32);
      const std::array<std::string, 6> answer{"1.0", frames.size() > 1 ? frames[1] : "", curve ? "200" : "400", curve ? "OK" : "CURVE is spoken here", curve ? key.data() : "", ""};
      for (std::size_t i = 0; i < answer.size(); ++i)
        socket_.send(zmq::buffer(answer[i]), i + 1 < answer.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  } catch (const zmq::error_t&) {  // the context is shut down
    socket_.close();
  }
}

}  // namespace sluice::zerorpc
