#include "transports/zerorpc/client.h"

#include <zmq.hpp>

#include "rpc/clock.h"
#include "transports/zerorpc/envelope.h"
#include "transports/zerorpc/event.h"
#include "transports/zerorpc/heartbeat.h"
#include "transports/zerorpc/pack.h"

namespace sluice::zerorpc {
namespace {

using std::chrono::milliseconds;

constexpr int kMostRead = 256;  // messages read without a look at the clock

std::string text(const Value& value) {
  if (auto* string = value.get_if<std::string>()) return *string;
  return value.is_nil() ? std::string() : describe(value);
}

}  // namespace

struct Client::Wire {
  explicit Wire(const std::string& to, ClientOptions given) : endpoint(to), options(given) {
    options.window = std::max(options.window, 2);  // with 1 a stream would never ask for more
    socket = zmq::socket_t(context, zmq::socket_type::dealer);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(options.message_bytes));
    try {
      if (!options.server_key.empty()) {
        socket.set(zmq::sockopt::curve_serverkey, options.server_key);
        socket.set(zmq::sockopt::curve_publickey, options.public_key);
        socket.set(zmq::sockopt::curve_secretkey, options.secret_key);
      }
      socket.connect(to);
    } catch (const zmq::error_t& error) {
      throw std::runtime_error("cannot connect to '" + to + "': " + error.what() + "; expected tcp://HOST:PORT or ipc://PATH");
    }
  }

  // Sends an event with the id that ids.next() gave.
  void send(std::string_view id, const Answered& answered, std::string_view name, const Value& args) {
    std::string payload;
    write_head(payload, id, answered, name);
    pack(payload, args);
    // Without a connection libzmq queues a thousand messages; then a blocking send would never return.
    if (!socket.send(zmq::const_buffer(), zmq::send_flags::sndmore | zmq::send_flags::dontwait) ||
        !socket.send(zmq::buffer(payload), zmq::send_flags::dontwait))
      throw TimeoutError("cannot send to " + endpoint + ": a thousand messages wait there already; is the server running?");
  }

  bool receive(zmq::message_t& last) {
    do {
      if (!socket.recv(last, zmq::recv_flags::dontwait)) return false;
    } while (last.more());
    return true;
  }

  std::string endpoint;
  ClientOptions options;
  zmq::context_t context{1};
  zmq::socket_t socket;
  MessageIds ids;
  EventReader reader{EventLimits{.depth = 128, .values = 10'000'000, .text_bytes = options.message_bytes, .id_bytes = 4096}};
};

// One channel, from the request to its last answer.
class Client::Conversation {
 public:
  Conversation(Wire& wire, std::string_view method, const Value::Array& args)
      : wire_(wire), method_(method), begun_(Clock::now()), next_beat_(begun_ + milliseconds(wire.options.heartbeat_ms)) {
    const std::string id(wire.ids.next());
    channel_ = pack_id(id);
    wire_.send(id, {}, method, Value(args));
  }

  std::optional<Value> run(const std::function<void(Value&&)>& on_item) {
    zmq::message_t message;
    Event event;
    for (;;) {
      for (int i = 0; i < kMostRead && wire_.receive(message); ++i) {
        // What cannot be read, and what belongs to a call given up long ago, is passed over.
        if (wire_.reader.read({static_cast<const char*>(message.data()), message.size()}, event) != Reading::event) continue;
        if (event.response_to != channel_) continue;
        if (take(event, on_item)) return std::move(result_);
      }
      watch_clock();
      wait();
    }
  }

 private:
  bool take(Event& event, const std::function<void(Value&&)>& on_item) {
    const std::string name = text(event.name);
    if (name == "_zpc_hb") return heartbeat_.heard(), false;
    if (name == "_zpc_more") return false;  // we send one event, for which the first slot does
    answered_ = true;
    if (name == "OK") {
      auto* args = event.args.get_if<Value::Array>();
      if (!args || args->empty())
        throw ProtocolError("OK came with " + describe(event.args) + " instead of an array that holds the result");
      result_ = std::move(args->front());
      return true;
    }
    if (name == "ERR") raise(event);
    if (name == "STREAM_DONE") return true;
    if (name != "STREAM") throw ProtocolError("expected OK, ERR, STREAM or STREAM_DONE, and '" + name + "' came");
    // As Python: nothing is announced for the first item, which takes the slot that every channel has.
    if (--promised_ < wire_.options.window / 2) announce();
    on_item(std::move(event.args));
    return false;
  }

  void announce() {
    const int more = wire_.options.window - promised_;
    promised_ += more;
    wire_.send(wire_.ids.next(), {channel_, {}}, "_zpc_more", Value::Array{more});
  }

  [[noreturn]] void raise(Event& event) {
    auto* args = event.args.get_if<Value::Array>();
    if (args && args->size() == 3) throw RemoteError(text((*args)[0]), text((*args)[1]), text((*args)[2]));
    if (args && args->size() == 1 && event.version < 2) throw RemoteError("RemoteError", text((*args)[0]), "");
    throw ProtocolError("ERR came with " + describe(event.args) + " instead of [name, message, traceback]");
  }

  void watch_clock() {
    const auto now = Clock::now();
    if (!answered_ && now >= deadline())
      throw TimeoutError("no answer from " + wire_.endpoint + " to " + method_ + " within " + std::to_string(wire_.options.timeout_ms) +
                         " ms; is the server running, and does it have that method?");
    if (wire_.options.heartbeat_ms == 0 || now < next_beat_) return;
    if (heartbeat_.tick() == Heartbeat::Action::lost)
      throw LostRemote("lost " + wire_.endpoint + " while it ran " + method_ + ": no heartbeat for " +
                       std::to_string(2 * wire_.options.heartbeat_ms) + " ms");
    next_beat_ = now + milliseconds(wire_.options.heartbeat_ms);
    wire_.send(wire_.ids.next(), {channel_, {}}, "_zpc_hb", Value::Array{0});
  }

  Clock::time_point deadline() const { return deadline_in(milliseconds(wire_.options.timeout_ms), begun_); }

  void wait() {
    auto until = answered_ ? kNoDeadline : deadline();
    if (wire_.options.heartbeat_ms > 0) until = std::min(until, next_beat_);
    auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    zmq::pollitem_t item{wire_.socket.handle(), 0, ZMQ_POLLIN, 0};
    zmq::poll(&item, 1, std::clamp(left, milliseconds(0), milliseconds(60'000)));
  }

  Wire& wire_;
  const std::string method_;
  std::string channel_;  // our request's id, raw
  const Clock::time_point begun_;
  Clock::time_point next_beat_;
  Heartbeat heartbeat_;
  bool answered_ = false;
  int promised_ = 1;  // items that the server may still send
  std::optional<Value> result_;
};

Client::Client(const std::string& endpoint, ClientOptions options) : wire_(std::make_unique<Wire>(endpoint, options)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Value Client::call(std::string_view method, const Value::Array& args) {
  Value::Array items;
  auto result = stream(method, args, [&](Value&& item) {
    if (items.size() >= wire_->options.items)
      throw ProtocolError(std::string(method) + " streamed more than " + std::to_string(items.size()) + " items; read it with stream()");
    items.push_back(std::move(item));
  });
  return result ? std::move(*result) : Value(std::move(items));
}

std::optional<Value> Client::stream(std::string_view method, const Value::Array& args, const std::function<void(Value&&)>& on_item) {
  return Conversation(*wire_, method, args).run(on_item);
}

}  // namespace sluice::zerorpc
