#pragma once
// Caller: the client side of `sluice call` and the demo, one face for both wires.

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "rpc/value.h"

namespace sluice {

// The server answered with a fault, or refused who calls.
struct CallFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// No answer came: nobody listens, the time ran out, or what came was no answer.
struct Unreachable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Caller {
 public:
  virtual ~Caller() = default;
  // Gives each item of a stream to `on_item`; of any other method, answers the result.
  virtual std::optional<Value> call(const std::string& method, const Value::Array& args, const std::function<void(Value&&)>& on_item) = 0;
  Value call(const std::string& method, const Value::Array& args);  // a stream as an array
};

// How a caller shows who he is, and knows whom he talks to. What is empty is not used.
struct Proofs {
  std::string password_file;         // for http:// and https://: its first line is the password of the name in the URL
  std::string ca, certificate, key;  // files in PEM, for https://
  std::string server_key, keys;      // CURVE: the server's public key; a file of `sluice keygen`
};

// http:// by xmlrpc-c's client, with NAME:PASSWORD@ sent as HTTP Basic; tcp:// and ipc:// by our zerorpc client. Throws std::invalid_argument
// for another URL, and for a password that is missing or has no place. No message shows a password.
std::unique_ptr<Caller> connect(const std::string& url, int timeout_ms, const Proofs& = {});

}  // namespace sluice
