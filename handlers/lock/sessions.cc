#include "handlers/lock/sessions.h"

#include <sys/random.h>

#include <algorithm>

namespace sluice::lock {
namespace {

constexpr milliseconds kSoonest{5};

}  // namespace

struct Sessions::Session {
  Session(Loop& home, milliseconds ttl) : ttl(ttl), end(home) {}

  struct Held {
    explicit Held(Loop& home) : timer(home) {}
    Lease lease;
    milliseconds ttl{0};
    BootClock::time_point until;
    bool renewing = false;
    Timer timer;
  };

  const milliseconds ttl;
  BootClock::time_point last = BootClock::now();
  std::map<Key, Held> leases;
  std::vector<Loss> lost;
  std::set<Listener*> listeners;
  Timer end;
};

std::string random_name() {
  unsigned char raw[16];
  if (::getrandom(raw, sizeof raw, 0) != sizeof raw) throw Fault(Fault::Kind::internal, "getrandom failed");
  std::string out;
  for (const unsigned char c : raw) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

Value::Struct Sessions::Loss::value() const {
  Value::Struct out{{"name", name}, {"token", std::to_string(token)}, {"reason", reason}};
  if (!db.empty()) out.emplace_back("db", db);
  return out;
}

Sessions::Sessions(Loop& home, const Limits& limits, Renew renew) : home_(home), limits_(limits), renew_(std::move(renew)) {}
Sessions::~Sessions() = default;

Sessions::Session* Sessions::find(const std::string& id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

Sessions::Session& Sessions::get(const std::string& id) {
  if (Session* session = find(id)) return *session;
  throw Fault(Fault::Kind::not_found, "no session is called " + describe(Value(id)).substr(7) + " here: it was closed, not pinged for twice its ttl, or opened at another gateway; lock.open_session opens one");
}

bool Sessions::lives(const Session& session) { return !session.listeners.empty() || BootClock::now() < session.last + session.ttl; }

std::string Sessions::open(milliseconds ttl) {
  if (sessions_.size() >= static_cast<std::size_t>(limits_.sessions))
    throw Fault(Fault::Kind::overloaded, std::to_string(limits_.sessions) + " sessions are open already (lock.sessions); close some");
  std::string id = random_name();
  sessions_.emplace(id, std::make_unique<Session>(home_, ttl));
  watch_end(id);
  return id;
}

void Sessions::watch_end(const std::string& id) {
  Session& session = *find(id);
  const auto over = session.last + 2 * session.ttl;
  const auto now = BootClock::now();
  if (session.listeners.empty() && now >= over) {
    for (auto& [key, held] : session.leases) holders_.erase({key, held.lease.token});
    sessions_.erase(id);
    return;
  }
  const auto after = session.listeners.empty() ? over - now : 2 * session.ttl;
  session.end.start(after, [this, id] { watch_end(std::string(id)); });
}

milliseconds Sessions::touch(const std::string& id) {
  Session& session = get(id);
  const bool was_silent = !lives(session);
  session.last = BootClock::now();
  std::vector<Key> ended;
  for (auto& [key, held] : session.leases)
    if (held.until <= session.last)
      ended.push_back(key);
    else if (was_silent && !held.renewing)
      arm(id, key, milliseconds(0));
  for (const Key& key : ended) lose(id, key, "expired");  // now, so that this very answer says so
  return session.ttl;
}

void Sessions::attach(const std::string& id, const std::string& db, const Lease& lease, milliseconds ttl, BootClock::time_point until) {
  Session& session = get(id);
  const Key key{db, lease.name};
  if (!session.leases.contains(key) && session.leases.size() >= static_cast<std::size_t>(limits_.session_leases))
    throw Fault(Fault::Kind::overloaded, "the session holds " + std::to_string(limits_.session_leases) + " locks already (lock.session_leases)");
  Session::Held& held = session.leases.try_emplace(key, home_).first->second;
  holders_.erase({key, held.lease.token});
  holders_[{key, lease.token}] = id;
  held.lease = lease;
  held.ttl = ttl;
  held.until = until;
  std::erase_if(session.lost, [&](const Loss& loss) { return loss.db == db && loss.name == lease.name; });
  if (!held.renewing) arm(id, key, ttl / 3);
}

void Sessions::renewed(const std::string& db, const Lease& lease, milliseconds ttl, BootClock::time_point until) {
  const Key key{db, lease.name};
  const auto holder = holders_.find({key, lease.token});
  if (holder == holders_.end()) return;
  Session::Held& held = find(holder->second)->leases.at(key);
  held.ttl = ttl;
  held.until = until;
  if (!held.renewing) arm(holder->second, key, ttl / 3);
}

void Sessions::arm(const std::string& id, const Key& key, milliseconds after) {
  Session& session = *find(id);
  session.leases.at(key).timer.start(std::max(after, kSoonest), [this, id, key] { due(std::string(id), Key(key)); });
}

// Renews a lease, or finds that it has ended. Called well before its end, again and again.
void Sessions::due(const std::string& id, const Key& key) {
  Session& session = *find(id);
  Session::Held& held = session.leases.at(key);
  const auto now = BootClock::now();
  if (now >= held.until) return lose(id, key, "expired");
  if (!lives(session)) return arm(id, key, held.until - now);
  held.renewing = true;
  renew_(key.first, held.lease, held.ttl, [this, alive = std::weak_ptr<bool>(alive_), id, key, token = held.lease.token](Change change) {
    if (alive.expired()) return;
    Session* session = find(id);
    if (!session) return;
    const auto found = session->leases.find(key);
    if (found == session->leases.end()) return;
    Session::Held& held = found->second;
    held.renewing = false;
    if (held.lease.token != token) return arm(id, key, held.ttl / 3);  // released and granted anew meanwhile
    const auto now = BootClock::now();
    if (auto* fault = std::get_if<Fault>(&change)) {
      if (now >= held.until) return lose(id, key, "unavailable: " + fault->message());
      return arm(id, key, std::min(held.ttl / 10, held.until - now));
    }
    const Kept& kept = std::get<Kept>(change);
    if (!kept.ok) return lose(id, key, kept.newest > token ? "taken" : "expired");
    held.until = kept.until;
    arm(id, key, held.ttl / 3);
  });
}

void Sessions::lose(const std::string& id, const Key& key, std::string reason) {
  Session& session = *find(id);
  const auto held = session.leases.find(key);
  Loss loss{key.first, key.second, held->second.lease.token, std::move(reason)};
  session.leases.erase(held);
  holders_.erase({key, loss.token});
  if (session.lost.size() >= static_cast<std::size_t>(limits_.session_leases)) session.lost.erase(session.lost.begin());
  session.lost.push_back(loss);
  for (Listener* listener : session.listeners) listener->on_lost(loss);
}

void Sessions::forced(const std::string& db, const Lease& lease, const std::string& why) {
  const Key key{db, lease.name};
  const auto holder = holders_.find({key, lease.token});
  if (holder != holders_.end()) lose(std::string(holder->second), key, "forced: " + why);
}

void Sessions::detach(const std::string& db, const Lease& lease) {
  const Key key{db, lease.name};
  const auto holder = holders_.find({key, lease.token});
  if (holder == holders_.end()) return;
  find(holder->second)->leases.erase(key);
  holders_.erase(holder);
}

void Sessions::listen(const std::string& id, Listener& listener) {
  touch(id);
  Session& session = get(id);
  session.listeners.insert(&listener);
  for (const Loss& loss : session.lost) listener.on_lost(loss);
}

void Sessions::deaf(const std::string& id, Listener& listener) {
  Session* session = find(id);
  if (!session || session->listeners.erase(&listener) == 0) return;
  session->last = BootClock::now();
  watch_end(id);
}

std::vector<std::pair<std::string, Lease>> Sessions::close(const std::string& id) {
  get(id);
  const auto session = std::move(sessions_.extract(id).mapped());
  std::vector<std::pair<std::string, Lease>> held;
  for (auto& [key, each] : session->leases) {
    held.emplace_back(key.first, each.lease);
    holders_.erase({key, each.lease.token});
  }
  for (Listener* listener : session->listeners) listener->on_end("closed");
  return held;
}

Value::Array Sessions::lost(const std::string& id) const {
  Value::Array out;
  if (const Session* session = find(id))
    for (const Loss& loss : session->lost) out.emplace_back(loss.value());
  return out;
}

std::size_t Sessions::leases(const std::string& id) const {
  const Session* session = find(id);
  return session ? session->leases.size() : 0;
}

}  // namespace sluice::lock
