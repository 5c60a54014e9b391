#pragma once
// A zerorpc client that blocks: for `sluice call`, for C++ programs and for tests. Needs no loop.

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "rpc/value.h"

namespace sluice::zerorpc {

struct ClientOptions {
  int timeout_ms = 30'000;  // until the first answer, as Python counts it; the later items of a stream are not timed
  int heartbeat_ms = 5000;  // the server's, or it will not match; 0: none, and a server that died shows by the timeout alone
  int window = 100;         // items of a stream that the server may send ahead; at least 2
  std::size_t message_bytes = 64 * 1024 * 1024;  // a longer answer ends the connection
  std::string server_key{}, public_key{}, secret_key{};  // CURVE, Z85; all or none
  std::size_t items = 1'000'000;                 // of a stream that call() gathers
};

// The server answered ERR. what() is "name: message".
struct RemoteError : std::runtime_error {
  RemoteError(std::string name, std::string message, std::string traceback)
      : std::runtime_error(name + ": " + message), name(std::move(name)), message(std::move(message)), traceback(std::move(traceback)) {}
  std::string name, message, traceback;
};
struct TimeoutError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct LostRemote : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// The server answered something that is no zerorpc.
struct ProtocolError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// One call at a time, from one thread at a time.
class Client {
 public:
  // Connects in the background. Throws std::runtime_error on an endpoint that cannot be.
  explicit Client(const std::string& endpoint, ClientOptions options = {});
  ~Client();
  Client(Client&&) noexcept;

  // The result; that of a method that streams is an array of its items. Throws the errors above.
  Value call(std::string_view method, const Value::Array& args);

  // Gives the items of a stream to `on_item` as they come; while it runs, no heartbeat is sent. Of a
  // method that does not stream, returns the result.
  std::optional<Value> stream(std::string_view method, const Value::Array& args, const std::function<void(Value&&)>& on_item);

 private:
  class Conversation;
  struct Wire;
  std::unique_ptr<Wire> wire_;
};

}  // namespace sluice::zerorpc
