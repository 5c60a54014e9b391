#include "handlers/sql/cluster/node.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>

namespace sluice::sql::cluster {
namespace {

using std::chrono::milliseconds;

struct Resolved {
  std::string numeric, problem;
};

Resolved look_up(const std::string& host, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0) return {"", ::gai_strerror(code)};
  char text[NI_MAXHOST] = "";
  ::getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  ::freeaddrinfo(found);
  return {text, ""};
}

Failure not_sent(const std::string& node, const std::string& why) {
  return {Failure::Kind::starting, Fault(Fault::Kind::unavailable, node + ": " + why), false};
}

}  // namespace

struct Node::Held {
  Held(Loop& loop) : late(loop) {}
  std::unique_ptr<Link> link;
  bool open = false;
  bool dropped = false;
  Timer late;  // while it connects
  Pipeline pipeline;
  Deadline due{};          // the last of those that were sent since nothing was in flight
  bool stopped = false;    // by us: what is lost with it tells nothing of the server
  Lease* holder = nullptr;
};

Node::Node(std::string name, std::string host, std::string port, Engine& engine, Loop& loop, Workers& workers, const NodeLimits& limits, Events events)
    : address_{std::move(name), std::move(host), "", std::move(port)},
      engine_(engine), loop_(loop), workers_(workers), limits_(limits), events_(std::move(events)), health_(limits.health),
      lines_{Line<Trip>{"reads", "read_links", limits.read_links, limits}, Line<Trip>{"writes", "write_links", limits.write_links, limits}},
      lease_line_("transactions, cursors and writes with a key or fence", "leases", limits.leases, limits),
      next_probe_(loop), probe_late_(loop), unconnected_(loop) {}

Node::~Node() {
  alive_.reset();  // what still holds a piece of this node learns that it is gone
}

void Node::start() {
  resolve([this] { dial(Link::Use::probe); });
}

// A name server may take its time: it is asked on a worker.
void Node::resolve(UniqueFunction<void()> then) {
  if (Resolved plain = look_up(address_.host, AI_NUMERICHOST); !plain.numeric.empty()) {
    address_.numeric = plain.numeric;
    return then();
  }
  auto shared = std::make_shared<UniqueFunction<void()>>(std::move(then));
  workers_.run([this, shared, alive = std::weak_ptr(alive_), host = address_.host, &loop = loop_] {
    auto found = std::make_shared<Resolved>(look_up(host, 0));
    loop.post([this, shared, alive, found] {
      if (alive.expired()) return;
      if (!found->problem.empty()) {
        down("the name " + address_.host + " does not resolve: " + found->problem);
        return;
      }
      address_.numeric = found->numeric;
      (*shared)();
    });
  });
}

void Node::dial(Link::Use use) {
  auto held = std::make_unique<Held>(loop_);
  Held& ref = *held;
  ref.pipeline.moved(loop_.now());
  links(use).push_back(std::move(held));
  const std::weak_ptr alive(alive_);
  Engine::Events events;
  events.opened = [this, &ref, use](std::optional<Failure> failure) {
    ref.late.stop();
    if (failure) {
      const std::string why = failure->fault.message();
      drop(ref);
      if (ref.stopped) return;
      if (use == Link::Use::probe) return down(why);
      trouble_ = why;
      if (!links(use).empty()) {
        if (use != Link::Use::lease) line(use).dial_after = loop_.now() + limits_.redial;
        return;
      }
      // Without any connection of that kind nobody would wake those who wait.
      return use == Link::Use::read ? send_reads_elsewhere(why) : send_back(use, why);
    }
    ref.open = true;
    ref.pipeline.moved(loop_.now());
    if (use == Link::Use::probe) return probe();
    pump(use);
  };
  events.lost = [this, &ref, use] {
    drop(ref);
    if (use == Link::Use::probe) return down("the server closed the connection");
    look_soon();
    pump(use);
  };
  ref.late.start(limits_.connect, [this, &ref] { ref.link->cut("no connection within " + std::to_string(limits_.connect.count()) + " ms"); });
  ref.link = engine_.dial(address_, use, loop_, std::move(events));
}

// The Link may be the one that is telling us: it is destroyed on a later turn.
void Node::drop(Held& held) {
  if (std::exchange(held.dropped, true)) return;
  kill(held);
  if (held.holder) held.holder->held_ = nullptr;
  for (Links& links : links_) {
    auto at = std::ranges::find_if(links, [&](const auto& one) { return one.get() == &held; });
    if (at == links.end()) continue;
    held.late.stop();
    auto gone = std::make_shared<std::unique_ptr<Held>>(std::move(*at));
    links.erase(at);
    loop_.post([gone] { gone->reset(); });
    return;
  }
}

// At the server: some go on with what they do when nobody is there to be told.
void Node::kill(const Held& held) {
  if (!held.open || held.link->in_flight() == 0) return;
  auto statement = held.link->killer();
  if (!statement) return;
  Trip trip;
  trip.statements.push_back(std::move(*statement));
  trip.own = true;
  trip.done = [](Trip::Arrived) {};  // it may be over by itself
  send(Link::Use::read, std::move(trip));
}

void Node::stop(Held& held, const std::string& why) {
  held.stopped = true;
  kill(held);
  held.link->cut(name() + ": " + why);
}

void Node::saw(const Position& at, Clock::time_point now) {
  if (at.empty()) return;
  raise(at_, at);
  seen_at_ = now;
}

template <class T>
std::optional<Failure> Node::Line<T>::arrive(std::uint64_t party, Deadline deadline, Clock::time_point now, const std::string& node) {
  const auto verdict = shedder.arrive(queue, party, deadline, now);
  if (verdict == Shedder::Verdict::take) return std::nullopt;
  return Failure{Failure::Kind::shed, shedder.fault(verdict, std::string(who) + " of " + node, "waiting", size()), false};
}

void Node::send(Link::Use use, Trip trip) {
  auto& waiting = line(use);
  if (auto failure = waiting.arrive(trip.party, trip.deadline, loop_.now(), name())) return trip.done(std::move(*failure));
  // Nobody is passed by: it goes at once.
  if (waiting.empty() && loop_.now() < trip.deadline) {
    if (Held* held = reach(use)) {
      waiting.shedder.start({}, loop_.now());
      return dispatch(*held, use, std::move(trip));
    }
  }
  const auto party = trip.party;
  const auto deadline = trip.deadline;
  waiting.push(party, std::move(trip), deadline, loop_.now());
  pump(use);
  if (use != Link::Use::read || waiting.empty() || unconnected_.running()) return;
  const auto none_open = [this] { return std::ranges::none_of(links(Link::Use::read), [](const auto& held) { return held->open; }); };
  if (none_open())
    unconnected_.start(limits_.health.silent, [this, none_open] {
      if (none_open()) send_reads_elsewhere("no connection within " + std::to_string(limits_.health.silent.count()) + " ms");
    });
}

// Other nodes may have room. What answers probes may yet take no connections: it must not draw all reads because it has none in flight.
void Node::send_reads_elsewhere(const std::string& why) {
  health_.no_connection(loop_.now());
  send_back(Link::Use::read, why);
}

void Node::send_back(Link::Use use, const std::string& why) {
  if (use == Link::Use::lease) {
    for (auto leases = std::exchange(lease_line_.queue, {}); !leases.empty();) leases.pop().what(not_sent(name(), why));
  } else {
    for (auto trips = std::exchange(line(use).queue, {}); !trips.empty();) trips.pop().what.done(not_sent(name(), why));
  }
}

// A connection with room; when another would help, it is on its way.
Node::Held* Node::reach(Link::Use use) {
  const bool reads = use == Link::Use::read;
  const auto now = loop_.now();
  const auto each = line(use).shedder.each();
  auto& all = links(use);
  lanes_.clear();
  for (const auto& held : all) {
    if (!held->open) {
      lanes_.push_back({.coming = now - held->pipeline.progress() <= limits_.health.silent});
      continue;
    }
    const std::size_t before = held->link->in_flight();
    lanes_.push_back({.open = true, .full = held->link->room() == 0 || held->pipeline.full(before, each, way_, now, limits_.pipeline), .in_flight = before});
  }
  const bool may_dial = all.size() < (reads ? limits_.read_links : limits_.write_links) && (all.empty() || now >= line(use).dial_after);
  const Choice choice = reads ? lane_for_read(lanes_, shared_lanes(reads_in_flight_ + 1, each, limits_.pipeline)) : lane_for_write(lanes_, may_dial);
  if (choice.dial && may_dial) dial(use);
  return choice.lane == kNoLane ? nullptr : all[static_cast<std::size_t>(choice.lane)].get();
}

void Node::pump(Link::Use use) {
  if (use == Link::Use::lease) {
    const std::weak_ptr alive(alive_);
    tell_late(lease_line_);
    while (!alive.expired() && !lease_line_.empty()) {
      auto idle = std::ranges::find_if(links(use), [](const auto& held) { return held->open && !held->holder; });
      if (idle == links(use).end()) {
        const auto connecting = std::ranges::count_if(links(use), [](const auto& held) { return !held->open; });
        if (links(use).size() < limits_.leases && static_cast<std::size_t>(connecting) < lease_line_.size()) dial(use);
        return;
      }
      Leased leased = lease_line_.start(loop_.now());
      auto lease = std::make_shared<Lease>(*this, **idle, alive_, loop_.now());
      (*idle)->holder = lease.get();
      ++calls_[static_cast<std::size_t>(use)];
      leased(std::move(lease));
    }
    return;
  }
  auto& waiting = line(use);
  const std::weak_ptr alive(alive_);
  while (!waiting.empty()) {
    if (loop_.now() >= waiting.queue.front().deadline) {
      tell_late(waiting);
      if (alive.expired()) return;
      continue;
    }
    Held* held = reach(use);
    if (!held) return;
    dispatch(*held, use, waiting.start(loop_.now()));
  }
}

// Whose time was up while they waited: what they asked for has not run.
template <class T>
void Node::tell_late(Line<T>& line) {
  if (line.empty()) return;
  const std::string why = "the call's time was up while it waited for a connection to " + name() + ": all that it may have for " + std::string(line.who) + " (" + std::string(line.bound) + ") are taken; it has not run. Try again, give it more time (timeout_ms), or configure more";
  for (auto& entry : line.queue.take_all([now = loop_.now()](const auto& each) { return now >= each.deadline; })) {
    Failure failure{Failure::Kind::shed, Fault(Fault::Kind::deadline_exceeded, why), false};
    if constexpr (std::is_same_v<T, Trip>)
      entry.what.done(std::move(failure));
    else
      entry.what(std::move(failure));
  }
}

void Node::dispatch(Held& held, Link::Use use, Trip trip) {
  held.pipeline.sends(held.link->in_flight(), loop_.now(), limits_.pipeline);
  if (held.link->in_flight() == 0) held.due = {};
  held.due = std::max(held.due, trip.deadline);
  if (trip.sending) trip.sending();
  ++in_flight_;
  ++calls_[static_cast<std::size_t>(use)];
  const bool counts = use == Link::Use::read;
  reads_in_flight_ += counts;
  if (counts) health_.call_sent();
  trip.done = [this, &held, use, counts, sent = loop_.now(), alive = std::weak_ptr(alive_), done = std::move(trip.done)](Trip::Arrived arrived) mutable {
    if (alive.expired()) return;
    --in_flight_;
    reads_in_flight_ -= counts;
    const auto* failure = std::get_if<Failure>(&arrived);
    if (failure && failure->kind == Failure::Kind::lost)
      held.pipeline.moved(loop_.now());
    else if (const auto group = held.pipeline.answered(sent, loop_.now(), way_, limits_.pipeline); group.calls > 0)
      line(use).shedder.end(group.took, group.calls);
    if (auto* answer = std::get_if<Trip::Answer>(&arrived)) answer->sent = sent;
    if (counts && held.stopped) {
      health_.call_given_up();
    } else if (counts) {
      const bool ok = !failure || failure->kind == Failure::Kind::statement || failure->kind == Failure::Kind::refused;
      health_.call_ended(ok, std::chrono::duration<double, std::milli>(Clock::now() - sent).count(), events_.others_ms(*this), loop_.now());
    }
    done(std::move(arrived));
    if (alive.expired()) return;
    if (!line(use).empty()) pump(use);
  };
  held.link->send(std::move(trip));
}

void Node::lease(std::uint64_t party, Deadline deadline, Leased leased) {
  if (auto failure = lease_line_.arrive(party, deadline, loop_.now(), name())) return leased(std::move(*failure));
  lease_line_.push(party, std::move(leased), deadline, loop_.now());
  pump(Link::Use::lease);
}

Link* Node::Lease::link() noexcept { return held_ && !node_alive_.expired() && !held_->dropped ? held_->link.get() : nullptr; }

void Node::Lease::stop(const std::string& why) {
  if (link()) node_.stop(*held_, why);
}

void Node::Lease::give(bool clean) {
  Held* held = std::exchange(held_, nullptr);
  if (!held || node_alive_.expired()) return;
  held->holder = nullptr;
  node_.lease_line_.shedder.end(node_.loop_.now() - since_);
  if (!clean || held->link->in_flight() > 0) node_.drop(*held);
  // Not from within whoever gives it back.
  node_.loop_.post([&node = node_, alive = node_alive_] {
    if (!alive.expired()) node.pump(Link::Use::lease);
  });
}

void Node::sweep(milliseconds longest) {
  const std::weak_ptr alive(alive_);
  for (const auto use : {Link::Use::read, Link::Use::write}) {
    std::vector<Held*> late;
    for (auto& held : links(use)) {
      if (!held->open || held->link->in_flight() == 0) continue;
      // Reads that wait behind it are asked again elsewhere. Of writes nobody would know whether they have happened: they are waited for.
      const Deadline due = use == Link::Use::read ? held->link->due() : held->due;
      const bool overdue = due != kNoDeadline && loop_.now() - due > limits_.overdue;
      if (overdue || loop_.now() - held->pipeline.progress() > longest) late.push_back(held.get());
    }
    for (Held* held : late) {
      if (alive.expired()) return;
      if (!held->dropped) stop(*held, "a statement ran for longer than its call had time");
    }
    if (alive.expired()) return;
    tell_late(line(use));
    if (!alive.expired() && !line(use).empty()) pump(use);
  }
  if (!alive.expired()) tell_late(lease_line_);
}

void Node::look_soon() {
  if (!probing_ && !links(Link::Use::probe).empty() && links(Link::Use::probe).front()->open) probe();
}

void Node::probe() {
  if (probing_) return;
  next_probe_.stop();
  probing_ = true;
  probe_sent_ = Clock::now();
  probe_late_.start(limits_.health.silent, [this] {
    // When it was we who did not run, the answer lies in the socket: it is read before the posted task comes.
    loop_.post([this, alive = std::weak_ptr(alive_), sent = probe_sent_] {
      if (!alive.expired() && probing_ && sent == probe_sent_) hangs();
    });
  });
  const std::weak_ptr alive(alive_);
  engine_.probe(*links(Link::Use::probe).front()->link, [this, alive](std::variant<Report, Failure> answer) {
    if (!alive.expired()) probe_answered(std::move(answer));
  });
}

void Node::hangs() {
  health_.silent();
  trouble_ = "no answer to a probe for " + std::to_string(limits_.health.silent.count()) + " ms: the server hangs";
  // It may come back to life with this connection, or be gone from the network without a word.
  probe_late_.start(limits_.connect, [this] {
    if (!links(Link::Use::probe).empty()) drop(*links(Link::Use::probe).front());
    down(trouble_);
  });
  events_.gone(*this);
}

void Node::probe_answered(std::variant<Report, Failure> answer) {
  probing_ = false;
  probe_late_.stop();
  if (auto* failure = std::get_if<Failure>(&answer)) {
    if (failure->kind == Failure::Kind::lost) return;  // `lost` of the link follows
    if (!links(Link::Use::probe).empty()) drop(*links(Link::Use::probe).front());
    return down(failure->fault.message());
  }
  redial_ = milliseconds(50);
  report_ = std::move(std::get<Report>(answer));
  // A clone made anew, an older copy put back, or another server on the same port: what was known of the old one is void.
  if (looked_ && (at_.system != report_.at.system || (!reached(report_.at, at_) && health_.state() == Health::State::down))) at_ = report_.at;
  looked_ = true;
  asked_at_ = probe_sent_;
  trouble_.clear();
  saw(report_.at, loop_.now());
  if (const auto took = Clock::now() - probe_sent_; way_ == Clock::duration{} || took < way_) way_ = took;
  health_.answered_probe(std::chrono::duration<double, std::milli>(Clock::now() - probe_sent_).count(), loop_.now());
  next_probe_.start(limits_.probe_every, [this] { probe(); });
  events_.looked(*this);
}

void Node::down(const std::string& why) {
  probing_ = false;
  probe_late_.stop();
  trouble_ = why;
  way_ = {};
  health_.unreachable();
  const std::weak_ptr alive(alive_);
  next_probe_.start(redial_, [this] {
    if (links(Link::Use::probe).empty()) start();
  });
  redial_ = std::min(redial_ * 2, milliseconds(400));
  cut(why, false);
  if (alive.expired()) return;
  events_.gone(*this);
}

void Node::cut(const std::string& why, bool reads_alone) {
  const std::weak_ptr alive(alive_);
  for (const auto use : {Link::Use::read, Link::Use::write, Link::Use::lease}) {
    if (reads_alone && use != Link::Use::read) break;
    std::vector<Held*> all;
    for (auto& held : links(use)) all.push_back(held.get());
    for (Held* held : all) {
      if (alive.expired()) return;
      if (held->dropped) continue;
      held->stopped = !held->open;  // it never was, and tells so; either way it leaves the list by itself
      held->link->cut(name() + ": " + why);
      if (alive.expired()) return;
      drop(*held);
    }
  }
  send_back(Link::Use::read, why);
  if (reads_alone || alive.expired()) return;
  send_back(Link::Use::write, why);
  send_back(Link::Use::lease, why);
}

}  // namespace sluice::sql::cluster
