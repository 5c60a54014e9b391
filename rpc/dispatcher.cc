#include "rpc/dispatcher.h"

#include <optional>
#include <stdexcept>

#include "rpc/nearest.h"

namespace sluice {

void Dispatcher::add(Handler& handler) {
  auto serve = [this](std::string name, Method method) {
    method.name = name;
    auto [at, fresh] = methods_.try_emplace(std::move(name), std::move(method));
    if (!fresh) throw std::logic_error("two methods are called '" + at->first + "'");
    index_.emplace(at->first, &at->second);
  };
  for (Method& method : handler.methods()) {
    if (handler.at_root()) serve(method.name, method);
    std::string full = handler.name().empty() ? method.name : std::string(handler.name()) + "." + method.name;
    serve(std::move(full), std::move(method));
  }
}

const Method* Dispatcher::find(std::string_view name) const noexcept {
  auto found = index_.find(name);
  return found == index_.end() ? nullptr : found->second;
}

const Method* Dispatcher::find(std::string_view name, const Principal* caller) const noexcept {
  const Method* method = find(name);
  return method && shows(*method, caller) ? method : nullptr;
}

bool Dispatcher::shows(const Method& method, const Principal* caller) const noexcept {
  return !guard_ || (caller && caller->may_call(method));
}

Fault Dispatcher::no_such_method(std::string_view name, const Principal* caller) const {
  std::vector<std::string_view> names;
  names.reserve(methods_.size());
  for (const auto& [known, method] : methods_)
    if (shows(method, caller)) names.push_back(known);
  std::string message = "method " + describe(Value(name)).substr(7) + " is not served here";  // without "string "
  const auto close = nearest(name, names);
  message += close.empty() ? "; system.listMethods lists those that are" : "; did you mean '" + std::string(close) + "'?";
  return Fault(Fault::Kind::no_such_method, std::move(message));
}

void Dispatcher::call(Call& call, Reply reply) const {
  const Method* method = find(call.method);
  if (!method) {
    missed(call.method, call.transport, reply.principal().get());
    return reply(no_such_method(call.method, reply.principal().get()));
  }
  if (!guard_) return admitted(*method, call, std::move(reply));
  Reply guarded = guard_->admit(*method, call, std::move(reply));
  if (guarded) admitted(*method, call, std::move(guarded));
}

void Dispatcher::missed(std::string_view method, std::string_view transport, const Principal* caller) const {
  if (guard_) guard_->missed(method, transport, caller);
}

void Dispatcher::admitted(const Method& wanted, Call& call, Reply reply) const {
  const Method* method = &wanted;
  if (method->waits || method->blocking) {
    if (in_flight_.load(std::memory_order_relaxed) >= limits_.in_flight)
      return reply(Fault(Fault::Kind::overloaded,
                         "the gateway has " + std::to_string(limits_.in_flight) +
                             " calls in flight, the most it takes (limits.calls_in_flight); try again in a moment",
                         {{"retry_after_ms", 100}}));
    reply.count_in(in_flight_);
  }
  if (method->blocking && workers_)
    return workers_->call(std::move(reply), [this, method, call = std::move(call)](Reply&& reply) mutable { run(*method, call, std::move(reply)); });
  run(*method, call, std::move(reply));
}

void Dispatcher::run(const Method& method, Call& call, Reply reply) const {
  Reply::Rescue rescue(reply);
  std::optional<Fault> thrown;
  try {
    method.body(call, std::move(reply));
    return;
  } catch (const Fault& fault) {
    thrown = fault;
  } catch (const std::bad_alloc&) {
    thrown = Fault::out_of_memory();
  } catch (const std::exception& error) {
    thrown = Fault(Fault::Kind::internal, method.name + ": " + error.what());
  }
  // A body may throw before it took the reply, or after. If it has kept the reply elsewhere, that one answers.
  if (reply)
    reply(std::move(*thrown));
  else if (Reply* dropped = rescue.reply())
    (*dropped)(std::move(*thrown));
}

}  // namespace sluice
