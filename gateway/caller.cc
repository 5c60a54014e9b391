#include "gateway/caller.h"

#include <xmlrpc-c/base.hpp>
#include <xmlrpc-c/client_transport.hpp>
#include <xmlrpc-c/girerr.hpp>

#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/writer.h"
#include "transports/zerorpc/client.h"
#include "transports/zerorpc/keys.h"

namespace sluice {
namespace {

std::string is_it_running(const std::string& url) { return url + ": is `sluice serve` running there?"; }

// xmlrpc-c carries the documents; they are written and read by our own codec, because xmlrpc-c's refuses characters beyond the
// basic plane and drops digits of doubles.
class XmlRpcCaller final : public Caller {
 public:
  XmlRpcCaller(std::string url, int timeout_ms, const Proofs& proofs) : url_(std::move(url)), curl_(options(timeout_ms, proofs)) {}

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
  static xmlrpc_c::clientXmlTransport_curl::constrOpt options(int timeout_ms, const Proofs& proofs) {
    xmlrpc_c::clientXmlTransport_curl::constrOpt options;
    options.timeout(static_cast<unsigned>(timeout_ms)).user_agent("sluice");
    if (!proofs.ca.empty()) options.cainfo(proofs.ca);
    if (!proofs.certificate.empty()) options.ssl_cert(proofs.certificate).sslkey(proofs.key.empty() ? proofs.certificate : proofs.key);
    return options;
  }
  static constexpr std::size_t kMostBytes = 1 << 30;
  const std::string url_;
  xmlrpc_c::clientXmlTransport_curl curl_;
};

class ZerorpcCaller final : public Caller {
 public:
  ZerorpcCaller(std::string endpoint, int timeout_ms, const Proofs& proofs)
      : endpoint_(std::move(endpoint)), timeout_ms_(timeout_ms), client_(endpoint_, options(timeout_ms, proofs)) {}

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
  static zerorpc::ClientOptions options(int timeout_ms, const Proofs& proofs) {
    zerorpc::ClientOptions options;
    options.timeout_ms = timeout_ms;
    if (!proofs.server_key.empty()) {
      const auto keys = proofs.keys.empty() ? zerorpc::make_keys() : zerorpc::load_keys(proofs.keys);
      options.server_key = proofs.server_key;
      options.public_key = keys.public_key;
      options.secret_key = keys.secret_key;
    }
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

std::unique_ptr<Caller> connect(const std::string& url, int timeout_ms, const Proofs& proofs) {
  if (url.starts_with("http://") || url.starts_with("https://")) return std::make_unique<XmlRpcCaller>(url, timeout_ms, proofs);
  if (url.starts_with("tcp://") || url.starts_with("ipc://")) return std::make_unique<ZerorpcCaller>(url, timeout_ms, proofs);
  if (url.starts_with("curve+")) return connect(url.substr(6), timeout_ms, proofs);
  throw std::invalid_argument("'" + url + "' is no URL to call; expected http://HOST:PORT, tcp://HOST:PORT or ipc://FILE");
}

}  // namespace sluice
