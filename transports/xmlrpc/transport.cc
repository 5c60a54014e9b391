#include "transports/xmlrpc/transport.h"

#include "transports/xmlrpc/writer.h"

namespace sluice::xmlrpc {

Transport::Transport(const Dispatcher& dispatcher, std::span<Loop* const> loops, Options options)
    : dispatcher_(dispatcher), options_(std::move(options)), server_(*this, loops, options_.http) {}

std::vector<std::string> Transport::endpoints() const {
  const std::string& host = options_.http.host;
  const bool v6 = host.find(':') != host.npos;
  return {"http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(server_.port())};
}

void Transport::serve(const http::Request& request, http::Exchange& exchange) {
  // A query string is let pass; Python's client sends the one of its URL along.
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  if (path != "/" && path != "/RPC2")
    return exchange.send({404, "text/plain", "nothing is served at this path; XML-RPC is at / and /RPC2\n"});
  Call call;
  try {
    MethodCall read = read_call(request.body, options_.reader);
    call.method = std::move(read.method);
    call.args = std::move(read.params);
  } catch (const Fault& fault) {
    return answer(exchange, fault);
  }
  call.transport = name();
  dispatcher_.call(call, Reply(exchange.shared_from_this(), exchange.ticket()));
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
    }
  } else {
    write_fault(std::get<Fault>(outcome), response.body);
  }
  exchange.send(std::move(response));
}

}  // namespace sluice::xmlrpc
