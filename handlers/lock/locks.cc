#include "handlers/lock/locks.h"

#include <algorithm>

#include "handlers/lock/watch.h"

namespace sluice::lock {
namespace {

std::int64_t left_ms(BootClock::time_point until) { return std::max<std::int64_t>((until - BootClock::now()).count(), 0); }

std::string mode_of(std::int64_t slots) { return slots == kExclusive ? "exclusive" : slots == kShared ? "shared" : "permits"; }

Value::Struct told(const Holder& holder) {
  Value::Struct out{{"owner", holder.owner},           {"token", std::to_string(holder.token)}, {"mode", mode_of(holder.slots)}, {"count", holder.count},
                    {"remaining_ms", holder.remaining.count()}, {"held_ms", holder.held.count()}};
  if (holder.slots != kExclusive && holder.slots != kShared) out.emplace_back("permits", holder.slots);
  return out;
}

const char* name_of(Held::Reason reason) { return reason == Held::Reason::other_mode ? "other_mode" : "held"; }

// Of a release or renewal of several leases: one answer, when all are done.
struct Together {
  Reply reply;
  std::size_t left;
  std::string session;
  bool ok = true;
  std::string reason;
  std::int64_t count = 0;
  BootClock::time_point until = BootClock::time_point::max();
  std::optional<Fault> fault;

  void add(const Lease& lease, const Change& change) {
    --left;
    if (auto* failed = std::get_if<Fault>(&change)) {
      fault = *failed;
      return;
    }
    const Kept& kept = std::get<Kept>(change);
    count = std::max(count, kept.count);
    until = std::min(until, kept.until);
    if (kept.ok) return;
    ok = false;
    if (reason.empty()) reason = kept.newest > lease.token ? "lost" : "not_held";
  }
};

}  // namespace

struct Locks::Wanted {
  Wanted(Reply&& reply, AcquireOptions options, bool many) : reply(std::move(reply)), options(std::move(options)), many(many) {}
  Reply reply;
  AcquireOptions options;
  Acquire request;
  const bool many;
};

Locks::Locks(Loop& home, Stores stores, Limits limits)
    : home_(home), limits_(limits), sessions_(home, limits_, [this](const std::string& db, Lease lease, milliseconds ttl, UniqueFunction<void(Change)> done) {
        spaces_.at(db)->store().renew(std::move(lease), ttl, std::move(done));
      }) {
  for (auto& [name, store] : stores) spaces_.emplace(name, std::make_unique<Space>(home, std::move(store), Space::Limits{.waiters = static_cast<std::size_t>(limits.waiters)}));
}

Locks::~Locks() = default;

std::vector<Method> Locks::methods() {
  const std::string options =
      " Options: owner (a text; one is made up), ttl_ms (10000), mode (exclusive, shared), permits (that many may hold it), session, db (a lock space)";
  Method watching = method("watch", this, &Locks::watch, {"session"},
                           "What happens to a session's locks: {event: lost, name, token, reason}, {event: closed}. A stream over zerorpc, which keeps the session alive by itself; "
                           "on other wires an array, as soon as there is something to tell, or empty after a while.");
  watching.body = [this, described = std::make_shared<const Method>(watching)](Call& call, Reply&& reply) {
    if (call.args.size() != 1) throw wrong_count(*described, call.args.size());
    auto* session = call.args[0].get_if<std::string>();
    if (!session) throw wrong_type(*described, 0, call.args[0]);
    watch_as(std::move(reply), std::move(*session), call.transport != "zerorpc");
  };
  return {
      method("acquire", this, &Locks::acquire, {"name", "options"},
             "Takes a lock: {granted: true, name, owner, token, count, remaining_ms, fenced}, or {granted: false, reason, holder, remaining_ms}. The same owner may take it again: count rises, "
             "token stays. Pass {\"fence\": {\"lock\": name, \"token\": token}} to sql writes." + options + ", wait_ms (0).",
             Effect::write),
      method("try", this, &Locks::try_acquire, {"name", "options"}, "As acquire, and never waits." + options + ".", Effect::write),
      method("acquire_many", this, &Locks::acquire_many, {"names", "options"},
             "Takes several locks, all or none, without deadlock: {granted: true, owner, leases, remaining_ms}, or a refusal as of acquire." + options + ", wait_ms (0).", Effect::write),
      method("release", this, &Locks::release, {"lease", "owner", "token"},
             "Gives back what acquire answered (or name, owner, token): {ok, reason, count}. ok is false for a lease that has ended (not_held) or was someone else's since (lost).", Effect::write),
      method("renew", this, &Locks::renew, {"lease", "owner_or_ttl_ms", "token", "ttl_ms"},
             "The lease ends ttl_ms (10000) from now: {ok, reason, count, remaining_ms}. renew(lease, ttl_ms), or renew(name, owner, token, ttl_ms).", Effect::write),
      method("check", this, &Locks::check, {"lease", "owner", "token"}, "Is it still held? {held, count, remaining_ms, token}: token is the last one given for that name."),
      method("info", this, &Locks::info, {"name", "options"}, "Who holds a lock: {name, token, holders, waiters}. Options: db."),
      method("list", this, &Locks::list, {"prefix", "options"}, "The locks that are held, by name, those alone that begin with prefix. Options: db."),
      method("force_release", this, &Locks::force_release, {"name", "why", "options"},
             "Takes a lock from whoever holds it, and raises its token, so that writes fenced with a newer one keep the old holder out: {name, token, holders}. Options: db.", Effect::write),
      method("open_session", this, &Locks::open_session, {"ttl_ms"},
             "Opens a session at this gateway: {session, ttl_ms}. Locks taken with {\"session\": session} are renewed as long as it is pinged, or used, once in ttl_ms (10000).", Effect::write),
      method("ping", this, &Locks::ping, {"session"}, "Keeps a session alive: {session, ttl_ms, leases, lost}.", Effect::write),
      method("close_session", this, &Locks::close_session, {"session"}, "Ends a session and releases all of its locks: {released, lost}.", Effect::write),
      std::move(watching),
  };
}

// Runs `act` with the Reply on the home loop; a Fault that it throws is the answer.
template <class Do>
void Locks::at_home(Reply&& reply, Do act) {
  auto run = [act = std::move(act)](Reply& reply) mutable {
    try {
      act(reply);
    } catch (const Fault& fault) {
      reply(fault);
    }
  };
  if (Loop::current() == &home_) return run(reply);
  home_.post([reply = std::move(reply), run = std::move(run)]() mutable { run(reply); });
}

Space* Locks::space(const std::string& db) {
  const auto found = spaces_.find(db);
  if (found == spaces_.end()) throw no_space(db);
  return found->second.get();
}

Fault Locks::no_space(const std::string& db) const {
  std::string known;
  for (const auto& [name, space] : spaces_)
    if (!name.empty()) known += (known.empty() ? "" : ", ") + name;
  return Fault(Fault::Kind::not_found, "no lock space is called " + describe(Value(db)).substr(7) + "; " + (known.empty() ? "none is configured (lock.spaces)" : "configured are " + known));
}

void Locks::add_lost(Struct& answer, const std::string& session) const {
  if (session.empty()) return;
  if (auto lost = sessions_.lost(session); !lost.empty()) answer.emplace_back("lost", std::move(lost));
}

void Locks::acquire(Answer<Struct> answer, std::string name, MaybeStruct options) {
  AcquireOptions read = read_acquire("acquire", options.value_or(Struct{}), limits_, true);
  start("acquire", std::move(answer.reply()), {std::move(name)}, false, std::move(read));
}

void Locks::try_acquire(Answer<Struct> answer, std::string name, MaybeStruct options) {
  AcquireOptions read = read_acquire("try", options.value_or(Struct{}), limits_, false);
  start("try", std::move(answer.reply()), {std::move(name)}, false, std::move(read));
}

void Locks::acquire_many(Answer<Struct> answer, Value::Array names, MaybeStruct options) {
  AcquireOptions read = read_acquire("acquire_many", options.value_or(Struct{}), limits_, true);
  std::vector<std::string> all;
  for (Value& name : names) {
    auto* text = name.get_if<std::string>();
    if (!text) throw Fault(Fault::Kind::bad_arguments, "acquire_many() argument 'names' must hold strings, not " + describe(name));
    all.push_back(std::move(*text));
  }
  start("acquire_many", std::move(answer.reply()), std::move(all), true, std::move(read));
}

void Locks::start(const std::string& method, Reply&& reply, std::vector<std::string> names, bool many, AcquireOptions options) {
  for (std::string& name : names) name = read_name(method, std::move(name));
  // In one order for everybody.
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty() || names.size() > static_cast<std::size_t>(limits_.names))
    throw Fault(Fault::Kind::bad_arguments, method + "() takes from 1 to " + std::to_string(limits_.names) + " names (lock.names), not " + std::to_string(names.size()));

  const Space::Id id = ++last_id_;
  // Who goes away while he waits makes room for the next.
  if (options.wait.count() > 0)
    reply.on_cancel([this, id, db = options.db] {
      home_.post([this, id, db] {
        if (const auto found = spaces_.find(db); found != spaces_.end()) found->second->cancel(id);
      });
    }, true);
  at_home(std::move(reply), [this, id, names = std::move(names), many, options = std::move(options)](Reply& reply) mutable {
    Space& space = *this->space(options.db);
    milliseconds ttl(limits_.ttl_ms);
    if (!options.session.empty()) ttl = sessions_.touch(options.session);
    if (reply.cancelled()) return reply(Fault(Fault::Kind::cancelled, "the caller is gone"));
    if (options.owner.empty()) options.owner = options.session.empty() ? random_name() : options.session;
    auto wanted = std::make_shared<Wanted>(std::move(reply), std::move(options), many);
    Acquire& request = wanted->request;
    request.names = std::move(names);
    request.owner = wanted->options.owner;
    request.nonce = random_name();
    request.ttl = wanted->options.ttl.value_or(ttl);
    request.slots = wanted->options.slots;
    const milliseconds wait = wanted->options.wait;
    space.acquire(id, request, wait, [this, wanted](Acquired acquired) { return answer(*wanted, std::move(acquired)); });
  });
}

// False: the grant cannot be delivered.
bool Locks::answer(Wanted& wanted, Acquired acquired) {
  const auto& [owner, session, db, ttl, wait, slots] = wanted.options;
  if (wanted.reply.cancelled()) {
    wanted.reply(Fault(Fault::Kind::cancelled, "the caller is gone"));
    return false;
  }
  if (auto* fault = std::get_if<Fault>(&acquired)) return wanted.reply(std::move(*fault)), true;
  Struct answer;
  if (auto* held = std::get_if<Held>(&acquired)) {
    answer = {{"granted", false}, {"name", held->holder.name.empty() ? wanted.request.names.front() : held->holder.name}, {"reason", name_of(held->reason)},
              {"holder", held->holder.owner}, {"remaining_ms", std::max<std::int64_t>(held->holder.remaining.count(), 0)}};
    add_lost(answer, session);
    wanted.reply(Value(std::move(answer)));
    return true;
  }

  auto& grants = std::get<std::vector<Grant>>(acquired);
  std::ranges::sort(grants, {}, &Grant::name);
  if (!session.empty()) {
    try {
      for (const Grant& grant : grants) sessions_.attach(session, db, {grant.name, owner, grant.token}, wanted.request.ttl, grant.until);
    } catch (const Fault& fault) {
      for (const Grant& grant : grants)
        if (grant.count == 1) sessions_.detach(db, {grant.name, owner, grant.token});
      wanted.reply(fault);
      return false;
    }
  }
  Value::Array leases;
  BootClock::time_point until = BootClock::time_point::max();
  for (Grant& grant : grants) {
    until = std::min(until, grant.until);
    Struct lease{{"granted", true}, {"name", std::move(grant.name)}, {"owner", owner}, {"token", std::to_string(grant.token)},
                 {"count", grant.count}, {"remaining_ms", left_ms(grant.until)}, {"fenced", grant.fenced}, {"mode", mode_of(slots)}};
    if (!session.empty()) lease.emplace_back("session", session);
    if (!db.empty()) lease.emplace_back("db", db);
    if (!wanted.many) answer = std::move(lease);
    else leases.emplace_back(std::move(lease));
  }
  if (wanted.many) {
    answer = {{"granted", true}, {"owner", owner}, {"leases", std::move(leases)}, {"remaining_ms", left_ms(until)}};
    if (!session.empty()) answer.emplace_back("session", session);
    if (!db.empty()) answer.emplace_back("db", db);
  }
  add_lost(answer, session);
  wanted.reply(Value(std::move(answer)));
  return true;
}

void Locks::release(Answer<Struct> answer, Value lease, MaybeValue owner, MaybeValue token) {
  LeaseArgument argument = read_lease("release", std::move(lease), std::move(owner), std::move(token));
  at_home(std::move(answer.reply()), [this, argument = std::move(argument)](Reply& reply) mutable {
    Space& space = *this->space(argument.db);
    if (sessions_.exists(argument.session)) sessions_.touch(argument.session);
    auto all = std::make_shared<Together>(Together{std::move(reply), argument.leases.size(), argument.session, true, "", 0, {}, {}});
    for (Lease& lease : argument.leases)
      space.release(lease, [this, all, db = argument.db, lease](Change change) {
        all->add(lease, change);
        if (const auto* kept = std::get_if<Kept>(&change); kept && kept->ok && kept->count == 0) sessions_.detach(db, lease);
        if (all->left > 0) return;
        if (all->fault) return all->reply(std::move(*all->fault));
        Struct answer{{"ok", all->ok}, {"reason", all->reason}, {"count", all->count}};
        add_lost(answer, all->session);
        all->reply(Value(std::move(answer)));
      });
  });
}

void Locks::renew(Answer<Struct> answer, Value lease, MaybeValue owner_or_ttl_ms, MaybeValue token, MaybeValue ttl_ms) {
  LeaseArgument argument;
  if (lease.get_if<std::string>()) {
    argument = read_lease("renew", std::move(lease), std::move(owner_or_ttl_ms), std::move(token));
  } else {
    argument = read_lease("renew", std::move(lease), std::nullopt, std::move(token));
    if (ttl_ms) throw Fault(Fault::Kind::bad_arguments, "renew() takes (lease, ttl_ms) or (name, owner, token, ttl_ms)");
    ttl_ms = std::move(owner_or_ttl_ms);
  }
  const milliseconds ttl = ttl_ms ? read_ttl("renew", *ttl_ms, limits_) : milliseconds(limits_.ttl_ms);
  at_home(std::move(answer.reply()), [this, argument = std::move(argument), ttl](Reply& reply) mutable {
    Space& space = *this->space(argument.db);
    if (sessions_.exists(argument.session)) sessions_.touch(argument.session);
    auto all = std::make_shared<Together>(Together{std::move(reply), argument.leases.size(), argument.session, true, "", 0, BootClock::time_point::max(), {}});
    for (Lease& lease : argument.leases)
      space.store().renew(lease, ttl, [this, all, db = argument.db, lease, ttl](Change change) {
        all->add(lease, change);
        if (const auto* kept = std::get_if<Kept>(&change); kept && kept->ok) sessions_.renewed(db, lease, ttl, kept->until);
        if (all->left > 0) return;
        if (all->fault) return all->reply(std::move(*all->fault));
        Struct answer{{"ok", all->ok}, {"reason", all->reason}, {"count", all->count}, {"remaining_ms", all->ok ? left_ms(all->until) : 0}};
        add_lost(answer, all->session);
        all->reply(Value(std::move(answer)));
      });
  });
}

void Locks::check(Answer<Struct> answer, Value lease, MaybeValue owner, MaybeValue token) {
  LeaseArgument argument = read_lease("check", std::move(lease), std::move(owner), std::move(token));
  if (argument.leases.size() != 1) throw Fault(Fault::Kind::bad_arguments, "check() takes one lease; those of acquire_many stand in its 'leases'");
  at_home(std::move(answer.reply()), [this, argument = std::move(argument)](Reply& reply) mutable {
    Space& space = *this->space(argument.db);
    if (sessions_.exists(argument.session)) sessions_.touch(argument.session);
    const Lease lease = argument.leases.front();
    space.store().inspect(lease.name, [this, lease, session = argument.session, reply = std::move(reply)](Listing listing) mutable {
      if (auto* fault = std::get_if<Fault>(&listing)) return reply(std::move(*fault));
      const Lock& lock = std::get<std::vector<Lock>>(listing).front();
      const auto held = std::ranges::find_if(lock.holders, [&](const Holder& holder) { return holder.owner == lease.owner && holder.token == lease.token; });
      const bool found = held != lock.holders.end();
      Struct answer{{"held", found}, {"count", found ? held->count : 0}, {"remaining_ms", found ? held->remaining.count() : 0}, {"token", std::to_string(lock.newest)}};
      add_lost(answer, session);
      reply(Value(std::move(answer)));
    });
  });
}

Value::Struct Locks::told(const Lock& lock, const std::string& db) {
  Value::Array holders;
  for (const Holder& holder : lock.holders) holders.emplace_back(lock::told(holder));
  return {{"name", lock.name}, {"token", std::to_string(lock.newest)}, {"holders", std::move(holders)}, {"waiters", space(db)->queue().waiting(lock.name)}};
}

void Locks::info(Answer<Struct> answer, std::string name, MaybeStruct options) {
  name = read_name("info", std::move(name));
  at_home(std::move(answer.reply()), [this, name = std::move(name), db = read_db("info", options)](Reply& reply) mutable {
    space(db)->store().inspect(std::move(name), [this, db, reply = std::move(reply)](Listing listing) mutable {
      if (auto* fault = std::get_if<Fault>(&listing)) return reply(std::move(*fault));
      reply(Value(told(std::get<std::vector<Lock>>(listing).front(), db)));
    });
  });
}

void Locks::list(Answer<Value::Array> answer, std::optional<std::string> prefix, MaybeStruct options) {
  at_home(std::move(answer.reply()), [this, prefix = prefix.value_or(""), db = read_db("list", options)](Reply& reply) mutable {
    space(db)->store().list(std::move(prefix), static_cast<std::size_t>(limits_.listed), [this, db, reply = std::move(reply)](Listing listing) mutable {
      if (auto* fault = std::get_if<Fault>(&listing)) return reply(std::move(*fault));
      Value::Array all;
      for (const Lock& lock : std::get<std::vector<Lock>>(listing)) all.emplace_back(told(lock, db));
      reply(Value(std::move(all)));
    });
  });
}

void Locks::force_release(Answer<Struct> answer, std::string name, std::string why, MaybeStruct options) {
  name = read_name("force_release", std::move(name));
  at_home(std::move(answer.reply()), [this, name = std::move(name), why = std::move(why), db = read_db("force_release", options)](Reply& reply) mutable {
    space(db)->force_release(std::move(name), [this, db, why = std::move(why), reply = std::move(reply)](Listing listing) mutable {
      if (auto* fault = std::get_if<Fault>(&listing)) return reply(std::move(*fault));
      const Lock& lock = std::get<std::vector<Lock>>(listing).front();
      for (const Holder& holder : lock.holders) sessions_.forced(db, {lock.name, holder.owner, holder.token}, why);
      reply(Value(told(lock, db)));
    });
  });
}

void Locks::open_session(Answer<Struct> answer, std::optional<std::int64_t> ttl_ms) {
  const milliseconds ttl = read_ttl("open_session", Value(ttl_ms.value_or(limits_.ttl_ms)), limits_);
  at_home(std::move(answer.reply()), [this, ttl](Reply& reply) { reply(Value(Struct{{"session", sessions_.open(ttl)}, {"ttl_ms", ttl.count()}})); });
}

void Locks::ping(Answer<Struct> answer, std::string session) {
  at_home(std::move(answer.reply()), [this, session = std::move(session)](Reply& reply) {
    const milliseconds ttl = sessions_.touch(session);
    reply(Value(Struct{{"session", session}, {"ttl_ms", ttl.count()}, {"leases", sessions_.leases(session)}, {"lost", sessions_.lost(session)}}));
  });
}

void Locks::close_session(Answer<Struct> answer, std::string session) {
  at_home(std::move(answer.reply()), [this, session = std::move(session)](Reply& reply) {
    Value::Array lost = sessions_.lost(session);
    auto leases = sessions_.close(session);
    const auto count = leases.size();
    Struct closed{{"released", count}, {"lost", std::move(lost)}};
    if (count == 0) return reply(Value(std::move(closed)));
    struct Closing {
      Reply reply;
      Struct answer;
      std::size_t left;
    };
    auto closing = std::make_shared<Closing>(Closing{std::move(reply), std::move(closed), count});
    for (auto& [db, lease] : leases)
      give_back(db, std::move(lease), [closing](std::optional<Fault> fault) {
        if (fault) return closing->reply(std::move(*fault));  // the rest ends with its leases
        if (--closing->left == 0) closing->reply(Value(std::move(closing->answer)));
      });
  });
}

// As often as it is held.
void Locks::give_back(const std::string& db, Lease lease, std::function<void(std::optional<Fault>)> done) {
  space(db)->release(lease, [this, db, lease, done = std::move(done)](Change change) mutable {
    if (auto* fault = std::get_if<Fault>(&change)) return done(std::move(*fault));
    const Kept& kept = std::get<Kept>(change);
    if (kept.ok && kept.count > 0) return give_back(db, std::move(lease), std::move(done));
    done({});
  });
}

void Locks::watch(StreamAnswer<Struct> answer, std::string session) { watch_as(std::move(answer.reply()), std::move(session), false); }

void Locks::watch_as(Reply&& reply, std::string session, bool once) {
  Loop& there = reply.loop();
  auto news = std::make_shared<News>(there);
  auto ear = std::make_shared<Ear>(there, news);
  at_home(std::move(reply), [this, news, ear, session = std::move(session), once](Reply& reply) mutable {
    sessions_.listen(session, *ear);
    reply(std::make_unique<WatchSource>(std::move(news), once, milliseconds(limits_.watch_ms), [this, ear = std::move(ear), session]() mutable {
      home_.post([this, ear = std::move(ear), session] { sessions_.deaf(session, *ear); });
    }));
  });
}

}  // namespace sluice::lock
