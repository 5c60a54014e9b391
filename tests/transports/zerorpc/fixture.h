#pragma once
// A served transport on a loop of its own, and a peer that speaks to it in bare frames.

#include <gtest/gtest.h>

#include <thread>
#include <zmq.hpp>

#include "recorded_server.h"
#include "transports/zerorpc/envelope.h"
#include "transports/zerorpc/pack.h"
#include "transports/zerorpc/transport.h"

namespace sluice::zerorpc {

using Frames = std::vector<std::string>;
using std::chrono::milliseconds;

class Served {
 public:
  static Options quiet() {
    Options options;
    options.endpoints = {"tcp://127.0.0.1:*"};
    options.heartbeat_ms = 0;
    options.name = "Calc";
    return options;
  }

  explicit Served(Options options = quiet(), double scale = 1) {
    handler.scale = scale;
    dispatcher.add(handler);
    transport.emplace(loop, dispatcher, std::move(options));
    transport->start();
    thread_ = std::thread([this] { loop.run(); });
  }
  ~Served() { stop(); }

  void stop() {
    loop.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::string endpoint() const { return transport->endpoints().front(); }

  Loop loop;
  RecordedServer handler;
  Dispatcher dispatcher;
  std::optional<Transport> transport;

 private:
  std::thread thread_;
};

// Waits for `condition`, at most ten seconds.
template <class Condition>
bool eventually(Condition condition) {
  for (auto end = Clock::now() + std::chrono::seconds(10); Clock::now() < end; std::this_thread::yield())
    if (condition()) return true;
  return condition();
}

class Peer {
 public:
  explicit Peer(const std::string& endpoint, int hwm = 0) : socket_(context_, zmq::socket_type::dealer) {
    socket_.set(zmq::sockopt::linger, 0);
    socket_.set(zmq::sockopt::rcvhwm, hwm);
    if (hwm) socket_.set(zmq::sockopt::rcvbuf, 4096);
    socket_.connect(endpoint);
  }

  void send(const Frames& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i)
      socket_.send(zmq::buffer(frames[i]), i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
  // The next message, or nothing when none comes in time.
  Frames receive(milliseconds within = milliseconds(5000)) {
    Frames frames;
    socket_.set(zmq::sockopt::rcvtimeo, static_cast<int>(within.count()));
    zmq::message_t frame;
    do {
      if (!socket_.recv(frame)) return frames;
      frames.emplace_back(frame.to_string());
    } while (frame.more());
    return frames;
  }

  // Calls without waiting; returns the id, raw.
  std::string call(std::string_view method, const Value& args, std::string_view extra_header = {}) {
    const std::string id(ids_.next());
    std::string payload;
    write_head(payload, id, {{}, extra_header}, method);
    pack(payload, args);
    send({"", payload});
    return pack_id(id);
  }
  void follow(std::string_view channel, std::string_view name, const Value& args) {
    std::string payload;
    write_head(payload, ids_.next(), {channel, {}}, name);
    pack(payload, args);
    send({"", payload});
  }

  struct Answer {
    std::string name = "(none in time)", to;
    Value args;
  };
  Answer answer(milliseconds within = milliseconds(5000)) {
    auto frames = receive(within);
    Event event;
    if (frames.empty() || EventReader().read(frames.back(), event) != Reading::event) return {};
    return {*event.name.get_if<std::string>(), std::string(event.response_to), std::move(event.args)};
  }
  // Calls add and checks the answer: is the server well?
  bool served() {
    call("add", Value::Array{20, 22});
    auto got = answer();
    return got.name == "OK" && got.args == Value(Value::Array{42});
  }

 private:
  zmq::context_t context_;
  zmq::socket_t socket_;
  MessageIds ids_;
};

}  // namespace sluice::zerorpc
