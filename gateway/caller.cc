#include "gateway/caller.h"

#include <xmlrpc-c/base.hpp>
#include <xmlrpc-c/client_transport.hpp>
#include <xmlrpc-c/girerr.hpp>

#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/writer.h"
#include "transports/zerorpc/client.h"

namespace sluice {
namespace {

std::string is_it_running(const std::string& url) { return url + ": is `sluice serve` running there?"; }

// xmlrpc-c carries the documents; they are written and read by our own codec, because xmlrpc-c's refuses characters beyond the
// basic plane and drops digits of doubles.
class XmlRpcCaller final : public Caller {
 public:
  XmlRpcCaller(std::string url, int timeout_ms)
      : url_(std::move(url)), curl_(xmlrpc_c::clientXmlTransport_curl::constrOpt().timeout(static_cast<unsigned>(timeout_ms)).user_agent("sluice")) {}

  std::optional<Value> call(const std::string& method, const Value::Array& args, const std::function<void(Value&&)>&) override {
    std::string request, answer;
    xmlrpc::write_call(method, args, kMostBytes, request);
    try {
      xmlrpc_c::carriageParm_curl0 parameters(url_);
      curl_.call(&parameters, request, &answer);
    } catch (const std::exception& error) {
      const std::string what = error.what();
      if (what.find("onnect") != what.npos) throw Unreachable("no connection to " + is_it_running(url_));
      throw Unreachable("no answer from " + url_ + ": " + what);
    }
    try {
      auto result = xmlrpc::read_response(answer, {.depth = 200, .values = 50'000'000});
      if (auto* fault = std::get_if<xmlrpc::RemoteFault>(&result)) throw CallFailed("fault " + std::to_string(fault->code) + ": " + fault->text);
      return std::move(std::get<Value>(result));
    } catch (const Fault& fault) {
      throw Unreachable(url_ + " did not answer with XML-RPC: " + fault.message());
    }
  }

 private:
  static constexpr std::size_t kMostBytes = 1 << 30;
  const std::string url_;
  xmlrpc_c::clientXmlTransport_curl curl_;
};

class ZerorpcCaller final : public Caller {
 public:
  ZerorpcCaller(std::string endpoint, int timeout_ms) : endpoint_(std::move(endpoint)), timeout_ms_(timeout_ms), client_(endpoint_, options(timeout_ms)) {}

  std::optional<Value> call(const std::string& method, const Value::Array& args, const std::function<void(Value&&)>& on_item) override {
    try {
      return client_.stream(method, args, on_item);
    } catch (const zerorpc::RemoteError& error) {
      throw CallFailed(error.what());
    } catch (const zerorpc::TimeoutError&) {
      throw Unreachable("no answer within " + std::to_string(timeout_ms_) + " ms from " + is_it_running(endpoint_));
    } catch (const std::runtime_error& error) {
      throw Unreachable(endpoint_ + ": " + error.what());
    }
  }

 private:
  static zerorpc::ClientOptions options(int timeout_ms) {
    zerorpc::ClientOptions options;
    options.timeout_ms = timeout_ms;
    return options;
  }
  const std::string endpoint_;
  const int timeout_ms_;
  zerorpc::Client client_;
};

}  // namespace

Value Caller::call(const std::string& method, const Value::Array& args) {
  Value::Array items;
  auto result = call(method, args, [&](Value&& item) { items.push_back(std::move(item)); });
  return result ? std::move(*result) : Value(std::move(items));
}

std::unique_ptr<Caller> connect(const std::string& url, int timeout_ms) {
  if (url.starts_with("http://") || url.starts_with("https://")) return std::make_unique<XmlRpcCaller>(url, timeout_ms);
  if (url.starts_with("tcp://") || url.starts_with("ipc://")) return std::make_unique<ZerorpcCaller>(url, timeout_ms);
  throw std::invalid_argument("'" + url + "' is no URL to call; expected http://HOST:PORT, tcp://HOST:PORT or ipc://FILE");
}

}  // namespace sluice
