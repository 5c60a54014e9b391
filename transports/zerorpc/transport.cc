#include "transports/zerorpc/transport.h"

#include "transports/zerorpc/builtins.h"
#include "transports/zerorpc/python.h"

namespace sluice::zerorpc {
namespace {

constexpr int kBudget = 256;  // messages read in one go, so that the loop's other work gets its turn
constexpr std::chrono::milliseconds kRetry{10};

using std::chrono::milliseconds;

}  // namespace

Transport::Transport(Loop& loop, const Dispatcher& dispatcher, Options options)
    : loop_(loop),
      dispatcher_(dispatcher),
      options_(std::move(options)),
      router_(options_.router),
      outbox_(router_, options_.outbox),
      reader_(options_.event),
      spare_(std::make_shared<Channel>(loop, static_cast<Channel::Host&>(*this))),
      retry_(loop) {
  call_.transport = "zerorpc";
}

Transport::~Transport() {
  auto callers = std::move(callers_);
  callers_.clear();
  for (auto& [identity, caller] : callers)
    for (auto& [id, channel] : caller) channel->abandon();
  if (watching_) loop_.unwatch(router_.fd(), *this);
  loop_.forget(*this);
}

void Transport::start() {
  for (const std::string& endpoint : options_.endpoints) bound_.push_back(router_.bind(endpoint));
  loop_.watch(router_.fd(), EPOLLIN, *this);
  watching_ = true;
  // What libzmq signalled while it bound has to be seen before the next signal can come.
  receive_soon();
}

void Transport::drain(UniqueFunction<void()> done) {
  loop_.post([this, done = std::move(done)]() mutable {
    drained_ = std::move(done);
    draining_ = true;
    // Not unbound: libzmq would close the connections that came by that endpoint, with the answers to come.
    finish_drain();
  });
}

void Transport::finish_drain() {
  if (!draining_ || !drained_ || !callers_.empty() || !outbox_.empty()) return;
  auto done = std::move(drained_);
  done();
}

void Transport::on_ready(std::uint32_t) { receive(); }

void Transport::receive_soon() {
  if (std::exchange(receive_posted_, true)) return;
  loop_.post([this] {
    receive_posted_ = false;
    receive();
  });
}

void Transport::receive() {
  // Even with nothing to answer the turn ends with a look at libzmq's events: reading eats its signals.
  wrote();
  Incoming incoming;
  for (int budget = kBudget; budget > 0; --budget) {
    switch (router_.receive(incoming)) {
      case Router::Got::nothing: return;
      case Router::Got::malformed: count(counters_.garbage); break;
      case Router::Got::message:
        try {
          take(incoming);
        } catch (const std::bad_alloc&) {  // no memory for what it asks
          count(counters_.shed);
        }
        break;
    }
    if (outbox_.full()) outbox_.flush(loop_.now(), lost_);
  }
}

void Transport::wrote() {
  if (!std::exchange(turn_end_asked_, true)) loop_.at_turn_end(*this);
}

void Transport::on_turn_end() {
  turn_end_asked_ = false;
  outbox_.flush(loop_.now(), lost_);
  drop_lost();
  if (outbox_.any_slow() && !retry_.running()) retry_.start(kRetry, [this] { retry_slow(); });
  if (router_.readable()) receive_soon();
  finish_drain();
}

void Transport::retry_slow() {
  std::vector<std::string> resumed;
  outbox_.retry(loop_.now(), lost_, resumed);
  for (const std::string& identity : resumed)
    for (auto& channel : channels_of(identity)) channel->resume();
  wrote();
}

void Transport::drop_lost() {
  auto lost = std::exchange(lost_, {});
  for (const std::string& identity : lost) {
    count(counters_.lost);
    for (auto& channel : channels_of(identity)) channel->abandon();
  }
}

std::vector<std::shared_ptr<Channel>> Transport::channels_of(const std::string& identity) const {
  std::vector<std::shared_ptr<Channel>> out;
  if (auto found = callers_.find(identity); found != callers_.end())
    for (auto& [id, channel] : found->second) out.push_back(channel);
  return out;
}

void Transport::take(const Incoming& incoming) {
  const Reading reading = reader_.read(incoming.payload, event_);
  if (reading == Reading::garbage || (!event_.is_reply() && event_.message_id.empty())) return count(counters_.garbage);
  if (event_.is_reply()) return reading == Reading::event ? deliver(incoming) : count(counters_.garbage);
  spare_->begin(incoming, event_);
  if (reading == Reading::refused) {
    count(event_.refused_as == Fault::Kind::too_large ? counters_.shed : counters_.garbage);
    spare_->fail(Fault(event_.refused_as, event_.refusal));
  } else {
    call(incoming);
  }
}

void Transport::deliver(const Incoming& incoming) {
  auto caller = callers_.find(std::string(incoming.identity));
  if (caller == callers_.end()) return count(counters_.unrouted);
  auto [first, last] = caller->second.equal_range(std::string(event_.response_to));
  if (first == last) return count(counters_.unrouted);
  std::vector<std::shared_ptr<Channel>> channels;  // taking an event may close one
  for (; first != last; ++first) channels.push_back(first->second);
  for (auto& channel : channels) channel->take(event_);
}

void Transport::call(const Incoming& incoming) {
  // A heartbeat or a window that opens nothing: Python leaves it unanswered.
  if (auto* name = event_.name.get_if<std::string>(); name && (*name == "_zpc_hb" || *name == "_zpc_more"))
    return spare_->abandon(), count(counters_.unrouted);
  count(counters_.calls);
  if (options_.authenticator)
    if (auto stranger = identify(*spare_, incoming.key)) return spare_->fail(*stranger);
  run(*spare_, std::move(event_.name), std::move(event_.args));
  if (spare_->is_closed() && spare_.use_count() == 1) return;
  auto channel = std::exchange(spare_, std::make_shared<Channel>(loop_, static_cast<Channel::Host&>(*this)));
  if (!channel->is_closed()) keep(std::move(channel));
}

// Who it is, is told with each message by libzmq, from its handshake: nothing has to be proved again.
std::optional<Fault> Transport::identify(Channel& channel, std::string_view key) const {
  auto verdict = options_.authenticator->known({.key = key});
  if (!verdict) return Fault(Fault::Kind::unauthenticated, "this caller cannot show who he is over zerorpc");
  if (auto* fault = std::get_if<Fault>(&*verdict)) return std::move(*fault);
  channel.set_principal(std::move(std::get<std::shared_ptr<const Principal>>(*verdict)));
  return std::nullopt;
}

void Transport::run(Channel& channel, Value&& name, Value&& args) {
  auto method = method_name(std::move(name));
  if (auto* fault = std::get_if<Fault>(&method)) return channel.fail(*fault);
  auto& wanted = std::get<std::string>(method);
  const bool known = dispatcher_.find(wanted) != nullptr;
  if (!known && !is_reserved(wanted)) {
    dispatcher_.missed(wanted, call_.transport, channel.principal().get());
    return channel.fail(Fault(Fault::Kind::no_such_method, wanted));
  }
  auto spread = spread_arguments(wanted, std::move(args));
  if (auto* fault = std::get_if<Fault>(&spread)) return channel.fail(*fault);
  auto& arguments = std::get<Value::Array>(spread);
  if (draining_)
    return channel.fail(Fault(Fault::Kind::unavailable, "the gateway is stopping and takes no new calls; call another or try again later"));
  channel.set_deadline(options_.call_ms > 0 ? deadline_in(milliseconds(options_.call_ms), loop_.now()) : kNoDeadline);
  channel.set_party(std::hash<std::string_view>{}(channel.identity()));
  Reply reply(channel.shared_from_this());
  if (!known) {
    auto answer = call_builtin(wanted, arguments, dispatcher_, options_.name, channel.principal().get());
    if (!answer) {
      dispatcher_.missed(wanted, call_.transport, channel.principal().get());
      return reply(Fault(Fault::Kind::no_such_method, wanted));
    }
    return std::visit([&](auto& one) { reply(std::move(one)); }, *answer);
  }
  call_.method = std::move(wanted);
  call_.args = std::move(arguments);
  dispatcher_.call(call_, std::move(reply));
}

// Enters a call that was not answered at once.
void Transport::keep(std::shared_ptr<Channel> channel) {
  Caller& caller = callers_[channel->identity()];
  count(counters_.open, std::int64_t{1});
  caller.emplace(channel->message_id(), channel);
  channel->open(milliseconds(options_.heartbeat_ms), milliseconds(options_.call_ms));
  const bool crowded = static_cast<std::size_t>(counters_.open.load(std::memory_order_relaxed)) > options_.open_calls;
  if (!crowded && caller.size() <= options_.caller_open_calls) return;
  count(counters_.shed);
  const auto most = std::to_string(crowded ? options_.open_calls : options_.caller_open_calls);
  channel->fail(Fault(Fault::Kind::overloaded, "there are " + most + " calls open " + (crowded ? "here" : "on this connection") +
                                                   ", the most that is taken; wait for answers and try again",
                      {{"retry_after_ms", 100}}));
}

void Transport::closed(Channel& channel) {
  auto caller = callers_.find(channel.identity());
  if (caller == callers_.end()) return;
  auto [first, last] = caller->second.equal_range(channel.message_id());
  for (; first != last; ++first) {
    if (first->second.get() != &channel) continue;
    caller->second.erase(first);
    count(counters_.open, std::int64_t{-1});
    break;
  }
  if (caller->second.empty()) callers_.erase(caller);
  wrote();  // the last one to close may be what drain() waits for
}

}  // namespace sluice::zerorpc
