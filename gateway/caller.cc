#include "gateway/caller.h"

#include <xmlrpc-c/base.hpp>
#include <xmlrpc-c/client_transport.hpp>
#include <xmlrpc-c/girerr.hpp>

#include "gateway/config/mask.h"
#include "rpc/password_file.h"
#include "rpc/percent.h"
#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/writer.h"
#include "transports/zerorpc/client.h"
#include "transports/zerorpc/keys.h"

namespace sluice {
namespace {

std::string is_it_running(const std::string& url) { return url + ": is `sluice serve` running there?"; }

std::string shown(const std::string& url) { return config::mask_passwords(url).text; }

struct Login {
  std::string name, password;
};

struct Target {
  std::string url;  // without the login, so that nothing that xmlrpc-c or curl says of it has a password
  std::optional<Login> login;
};

Target read_target(const std::string& url, const std::string& password_file) {
  Target out{url, std::nullopt};
  const auto begin = url.find("://") + 3;
  if (const auto at = url.substr(0, url.find_first_of("/?#", begin)).rfind('@'); at != url.npos) {
    const std::string account = url.substr(begin, at - begin);
    const auto colon = account.find(':');
    out.url.erase(begin, at + 1 - begin);
    out.login = Login{percent_decode(account.substr(0, colon)), colon == account.npos ? "" : percent_decode(account.substr(colon + 1))};
  }
  if (password_file.empty()) return out;
  if (!out.login)
    throw std::invalid_argument(shown(url) + " has no name for the password of --password-file; expected http://NAME@HOST:PORT");
  if (!out.login->password.empty())
    throw std::invalid_argument(shown(url) + " has a password, and --password-file another; one of them is expected");
  try {
    out.login->password = read_password_file(password_file, FileKind::any);
  } catch (const std::runtime_error& error) {
    throw std::invalid_argument(error.what());
  }
  return out;
}

// xmlrpc-c carries the documents; they are written and read by our own codec, because xmlrpc-c's refuses characters beyond the
// basic plane and drops digits of doubles.
class XmlRpcCaller final : public Caller {
 public:
  XmlRpcCaller(const std::string& url, int timeout_ms, const Proofs& proofs)
      : target_(read_target(url, proofs.password_file)), url_(shown(target_.url)), curl_(options(timeout_ms, proofs)) {}

  std::optional<Value> call(const std::string& method, const Value::Array& args, const std::function<void(Value&&)>&) override {
    std::string request, answer;
    xmlrpc::write_call(method, args, kMostBytes, request);
    try {
      xmlrpc_c::carriageParm_curl0 parameters(target_.url);
      if (target_.login) {
        parameters.setUser(target_.login->name, target_.login->password);
        parameters.allowAuthBasic();
      }
      curl_.call(&parameters, request, &answer);
    } catch (const std::exception& error) {
      const std::string what = error.what();
      if (what.find("HTTP response code is 401") != what.npos) throw CallFailed(refusal());
      if (what.find("HTTP response code is 429") != what.npos)
        throw CallFailed(url_ + " takes no login now (HTTP 429): too many failed, or too many wait; try again in a minute");
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
  std::string refusal() const {
    if (target_.login)
      return url_ + " refused the login of '" + target_.login->name + "' (HTTP 401): the name or the password is wrong";
    return url_ +
           " does not know who calls (HTTP 401): say http://NAME@HOST:PORT with --password-file FILE, or show a certificate with --cert FILE "
           "over https://";
  }
  static xmlrpc_c::clientXmlTransport_curl::constrOpt options(int timeout_ms, const Proofs& proofs) {
    xmlrpc_c::clientXmlTransport_curl::constrOpt options;
    options.timeout(static_cast<unsigned>(timeout_ms)).user_agent("sluice");
    if (!proofs.ca.empty()) options.cainfo(proofs.ca);
    if (!proofs.certificate.empty()) options.ssl_cert(proofs.certificate).sslkey(proofs.key.empty() ? proofs.certificate : proofs.key);
    return options;
  }
  static constexpr std::size_t kMostBytes = 1 << 30;
  const Target target_;
  const std::string url_;  // as messages show it
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
      const auto keys = proofs.keys.empty() ? zerorpc::make_keys() : zerorpc::load_keys(proofs.keys, FileKind::any);
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
  if (url.starts_with("tcp://") || url.starts_with("ipc://")) {
    // An @ is a part of the names of abstract sockets: ipc://@NAME.
    if (!proofs.password_file.empty() || (url.starts_with("tcp://") && url.find('@') != url.npos))
      throw std::invalid_argument(shown(url) + ": zerorpc carries no names and passwords; show a key with --server-key KEY --curve-keys FILE, or call http://");
    return std::make_unique<ZerorpcCaller>(url, timeout_ms, proofs);
  }
  if (url.starts_with("curve+")) return connect(url.substr(6), timeout_ms, proofs);
  throw std::invalid_argument("'" + shown(url) + "' is no URL to call; expected http://HOST:PORT, tcp://HOST:PORT or ipc://FILE");
}

}  // namespace sluice
