#include "transports/xmlrpc/transport.h"

#include "transports/xmlrpc/writer.h"

namespace sluice::xmlrpc {
namespace {

// "Retry-After: 1\r\n" of a fault that says when; whole seconds, as HTTP has them (RFC 9110, 10.2.3).
std::string retry_after(const Fault& fault) {
  const auto ms = fault.retry_after_ms();
  return ms ? "Retry-After: " + std::to_string((*ms + 999) / 1000) + "\r\n" : std::string();
}

// Stands in front of a system.multicall. What XML cannot carry costs its own place in the answer and no other: the calls have
// run, and their results would be lost with it.
class Gathered final : public Responder, public std::enable_shared_from_this<Gathered> {
 public:
  Gathered(Reply&& to, std::size_t most) : Responder(to.loop()), to_(std::move(to)), most_(most) {
    set_principal(to_.principal());
    set_deadline(to_.deadline());
    set_party(to_.party());
  }

  void start() {
    to_.on_cancel([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->cancel();
    });
  }

  void respond(std::uint64_t, Outcome&& outcome) override {
    if (auto* value = std::get_if<Value>(&outcome))
      if (auto* results = value->get_if<Value::Array>())
        for (Value& result : *results) check(result);
    to_.send(std::move(outcome));
  }

 private:
  void set_eager(bool eager) noexcept override {
    if (to_) to_.set_eager(eager);
  }

  void check(Value& result) const {
    try {
      try {
        auto* slot = result.get_if<Value::Array>();  // [value], or the struct of a fault
        weigh(slot && slot->size() == 1 ? slot->front() : result, most_);
      } catch (const Fault& unfit) {
        const Value* said = result.find("faultString");  // a fault already, of a text that came from elsewhere
        const Value* code = result.find("faultCode");
        if (said && code)
          result = Value::Struct{{"faultCode", *code}, {"faultString", printable(*said->get_if<std::string>())}};
        else
          result = Value::Struct{{"faultCode", unfit.xmlrpc_code()}, {"faultString", unfit.xmlrpc_string()}};
      }
    } catch (const std::bad_alloc&) {
      // the whole answer has the same trouble before it, and says so
    }
  }

  Reply to_;
  const std::size_t most_;
};

// The answer where there is no memory for the one that was wanted.
http::Response starved() {
  http::Response response;
  const Fault fault = Fault::out_of_memory();
  write_fault(fault, response.body);
  response.headers = retry_after(fault);
  return response;
}

}  // namespace

Transport::Transport(const Dispatcher& dispatcher, std::span<Loop* const> loops, Options options)
    : dispatcher_(dispatcher), options_(std::move(options)), server_(*this, loops, options_.http) {}

std::vector<std::string> Transport::endpoints() const {
  const std::string& host = options_.http.host;
  const bool v6 = host.find(':') != host.npos;
  return {(options_.http.tls ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(server_.port())};
}

void Transport::serve(const http::Request& request, http::Exchange& exchange) {
  // A query string is let pass; Python's client sends the one of its URL along.
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  if (path != "/" && path != "/RPC2")
    return exchange.send({404, "text/plain", "nothing is served at this path; XML-RPC is at / and /RPC2\n"});
  if (options_.authenticator)
    admit(request, exchange);
  else
    run(request.body, exchange);
}

// For load balancers and supervisors: nobody is asked who he is, nothing is told but yes or no.
std::optional<http::Response> Transport::get(std::string_view target) {
  if (target == "/health") return http::Response{.content_type = "text/plain", .body = "well\n"};
  if (target != "/ready") return std::nullopt;
  const bool ready = !options_.ready || options_.ready->load(std::memory_order_relaxed);
  return http::Response{.status = ready ? 200 : 503, .content_type = "text/plain", .body = ready ? "ready\n" : "draining\n"};
}

void Transport::admit(const http::Request& request, http::Exchange& exchange) {
  const std::string address = exchange.address();
  const Credentials shown{.authorization = request.authorization, .certificate = exchange.certificate(), .address = address};
  if (auto verdict = options_.authenticator->known(shown)) return go_on(std::move(*verdict), request.body, exchange);
  auto later = [this, to = std::static_pointer_cast<http::Exchange>(exchange.shared_from_this()), ticket = exchange.ticket(),
                body = std::string(request.body)](Authenticator::Verdict verdict) {
    if (to->ticket() == ticket && !to->cancelled()) go_on(std::move(verdict), body, *to);  // else its time ran out, or he is gone
  };
  options_.authenticator->prove(shown, exchange.loop(), std::move(later));
}

void Transport::go_on(Authenticator::Verdict verdict, std::string_view body, http::Exchange& exchange) {
  if (auto* principal = std::get_if<std::shared_ptr<const Principal>>(&verdict)) {
    exchange.set_principal(std::move(*principal));
    return run(body, exchange);
  }
  const Fault& fault = std::get<Fault>(verdict);
  http::Response response{.status = 429, .content_type = "text/plain", .body = fault.message() + "\n", .headers = retry_after(fault)};
  if (fault.kind() == Fault::Kind::unauthenticated) {
    response.status = 401;
    response.headers += "WWW-Authenticate: Basic realm=\"sluice\", charset=\"UTF-8\"\r\nWWW-Authenticate: Bearer\r\n";
  }
  exchange.send(std::move(response));
}

void Transport::run(std::string_view body, http::Exchange& exchange) {
  Call call;
  try {
    MethodCall read = read_call(body, options_.reader);
    call.method = std::move(read.method);
    call.args = std::move(read.params);
  } catch (const Fault& fault) {
    return answer(exchange, fault);
  } catch (const std::bad_alloc&) {
    return answer(exchange, Fault::out_of_memory());
  }
  call.transport = name();
  exchange.set_deadline(deadline_in(std::chrono::milliseconds(options_.call_ms), exchange.loop().now()));
  Reply reply(exchange.shared_from_this(), exchange.ticket());
  if (call.method != "system.multicall") return dispatcher_.call(call, std::move(reply));
  auto gathered = std::make_shared<Gathered>(std::move(reply), options_.answer_bytes);
  gathered->start();
  dispatcher_.call(call, Reply(std::move(gathered)));
}

void Transport::answer(http::Exchange& exchange, Outcome&& outcome) {
  if (auto* source = std::get_if<std::unique_ptr<Source>>(&outcome)) {
    return gather(std::move(*source), {options_.gathered_items, options_.answer_bytes},
                  [this, to = exchange.shared_from_this(), ticket = exchange.ticket()](std::variant<Value, Fault> gathered) {
                    if (to->ticket() != ticket) return;  // its time ran out meanwhile
                    std::visit([&](auto& result) { answer(*std::static_pointer_cast<http::Exchange>(to), std::move(result)); }, gathered);
                  });
  }
  http::Response response;
  if (auto* value = std::get_if<Value>(&outcome)) {
    try {
      write_response(*value, options_.answer_bytes, response.body);
    } catch (const Fault& fault) {
      write_fault(fault, response.body);
    } catch (const std::bad_alloc&) {
      return exchange.send(starved());
    }
  } else {
    const Fault& fault = std::get<Fault>(outcome);
    write_fault(fault, response.body);
    response.headers = retry_after(fault);
  }
  try {
    exchange.send(std::move(response));
  } catch (const std::bad_alloc&) {
    exchange.send(starved());
  }
}

}  // namespace sluice::xmlrpc
