#include "handlers/lock/redis/store.h"

#include <algorithm>

#include "handlers/lock/redis/scripts.h"

namespace sluice::lock {
namespace {

using redis::Answer;
using redis::Words;

constexpr std::size_t kTogether = 256;      // locks in one look
constexpr std::size_t kMostKeys = 100'000;  // names that a list goes through
constexpr milliseconds kRemembersUndone{60'000};

const std::string kServer = "sluice:locks", kLock = "sluice:lock:";
std::string key(const std::string& name) { return kLock + name; }
std::string channel(const std::string& name) { return "sluice:lock.freed:" + name; }
std::string undone(const Acquire& acquire) { return "sluice:lock.undone:" + acquire.nonce + ":" + acquire.names.front(); }

const Value::Array& array(const Value& value) { return *value.get_if<Value::Array>(); }
std::int64_t integer(const Value& value) { return *value.get_if<std::int64_t>(); }
const std::string& text(const Value& value) { return *value.get_if<std::string>(); }

Token token(const Value& epoch, const Value& counter) { return first_token(integer(epoch)) + integer(counter); }
std::string epoch_of(Token token) { return std::to_string(token >> 48); }
std::string counter_of(Token token) { return std::to_string(token & ((Token{1} << 48) - 1)); }

Holder holder(const std::string& name, const Value& value) {
  const auto& told = array(value);
  return {name,
          text(told[0]),
          token(told[1], told[2]),
          integer(told[3]),
          integer(told[4]),
          milliseconds(integer(told[5])),
          milliseconds(integer(told[6]))};
}

Lock lock(std::string name, const Value& value) {
  const auto& told = array(value);
  Lock lock{std::move(name), token(told[0], told[1]), {}};
  for (const Value& each : array(told[2])) lock.holders.push_back(holder(lock.name, each));
  std::ranges::sort(lock.holders, {}, &Holder::remaining);
  return lock;
}

// The server's clock may run a little faster than ours: what the holder may rely on ends a little earlier.
BootClock::time_point safe(BootClock::time_point sent, milliseconds left) { return sent + left - left / 100 - milliseconds(2); }

Held held(const std::vector<std::string>& names, const Value::Array& told) {
  const std::string& reason = text(told[1]);
  Held held{reason == "other_mode" ? Held::Reason::other_mode : reason == "not_yours" ? Held::Reason::not_yours : Held::Reason::held, {}};
  if (told.size() > 3 && !told[3].is_nil()) held.holder = holder(names[static_cast<std::size_t>(integer(told[2]))], told[3]);
  return held;
}

Acquired acquired(const Acquire& acquire, BootClock::time_point sent, const std::string& server, const Value::Array& told) {
  const std::string& word = text(told[0]);
  if (word == "closed")
    return Fault(Fault::Kind::unavailable, "Redis at " + server + " lost data, or may have: it grants nothing for another " +
                                               std::to_string(integer(told[1])) +
                                               " ms, until all leases that it may have forgotten have ended");
  if (word == "undone") return Fault(Fault::Kind::unavailable, "the request was taken back before it came");
  if (word == "held") return held(acquire.names, told);
  std::vector<Grant> grants;
  for (std::size_t i = 0; i < acquire.names.size(); ++i) {
    const auto& each = array(told[i + 1]);
    grants.push_back({acquire.names[i], token(each[0], each[1]), integer(each[2]), safe(sent, milliseconds(integer(each[3]))), true});
  }
  return grants;
}

class Listening final : public LeaseStore::Watch {
 public:
  Listening(redis::Subscriber& subscriber, const std::string& name, UniqueFunction<void()> freed)
      : listening_(subscriber, channel(name), std::move(freed)) {}

 private:
  redis::Subscriber::Listening listening_;
};

// A pattern of SCAN that stands for the text itself, and what follows.
std::string pattern(const std::string& prefix) {
  std::string out;
  for (const char c : prefix) {
    if (std::string_view("*?[]^\\").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out + "*";
}

}  // namespace

struct RedisStore::Search {
  std::string prefix;
  std::size_t most;
  UniqueFunction<void(Listing)> done;
  std::string cursor = "0";
  std::vector<std::string> names;  // that have a key; few of them may be held
  std::size_t looked = 0;
  std::vector<Lock> found;
};

RedisStore::RedisStore(Loop& home, const redis::Address& address, Options options)
    : home_(home),
      options_(std::move(options)),
      forget_(std::to_string(options_.forget.count())),
      link_(home, address, options_.link),
      guard_(link_, kServer, options_.file, options_.epoch),
      subscriber_(home, address) {
  guard_.start();
}

RedisStore::~RedisStore() = default;

void RedisStore::run(const redis::Script& script, Words keys, Words arguments, redis::Done done) {
  guard_.call(script, std::move(keys), std::move(arguments), options_.limit, std::move(done));
}

void RedisStore::acquire(Acquire acquire, UniqueFunction<void(Acquired)> done) {
  try {
    guard_.will_last(acquire.ttl);
  } catch (const Fault& fault) {
    return home_.post([done = std::move(done), fault]() mutable { done(fault); });
  }
  Words keys{undone(acquire)};
  for (const std::string& name : acquire.names) keys.push_back(key(name));
  Words arguments{acquire.owner,
                  acquire.nonce,
                  std::to_string(acquire.ttl.count()),
                  std::to_string(acquire.slots),
                  acquire.reentry_only ? "1" : "0",
                  std::to_string(acquire.intent.count()),
                  forget_};
  run(scripts().acquire, std::move(keys), std::move(arguments),
      [this, sent = BootClock::now(), acquire = std::move(acquire), done = std::move(done)](Answer answer) mutable {
        if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
        done(acquired(acquire, sent, link_.address().name, array(std::get<Value>(answer))));
      });
}

void RedisStore::change(const redis::Script& script, Words keys, Words arguments, milliseconds ttl, UniqueFunction<void(Change)> done) {
  run(script, std::move(keys), std::move(arguments), [sent = BootClock::now(), ttl, done = std::move(done)](Answer answer) mutable {
    if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
    const auto& told = array(std::get<Value>(answer));
    Kept kept;
    kept.ok = integer(told[1]) == 1;
    kept.count = integer(told[2]);
    kept.until = safe(sent, ttl);
    kept.newest = token(told[3], told[4]);
    done(kept);
  });
}

void RedisStore::undo(Acquire acquire, UniqueFunction<void(Change)> done) {
  Words keys{undone(acquire)}, arguments{acquire.owner, acquire.nonce, std::to_string(kRemembersUndone.count())};
  for (const std::string& name : acquire.names) {
    keys.push_back(key(name));
    arguments.push_back(channel(name));
  }
  change(scripts().undo, std::move(keys), std::move(arguments), {}, std::move(done));
}

void RedisStore::release(Lease lease, UniqueFunction<void(Change)> done) {
  change(scripts().release, {key(lease.name)}, {lease.owner, epoch_of(lease.token), counter_of(lease.token), channel(lease.name)}, {},
         std::move(done));
}

void RedisStore::renew(Lease lease, milliseconds ttl, UniqueFunction<void(Change)> done) {
  try {
    guard_.will_last(ttl);
  } catch (const Fault& fault) {
    return home_.post([done = std::move(done), fault]() mutable { done(fault); });
  }
  change(scripts().renew, {key(lease.name)},
         {lease.owner, epoch_of(lease.token), counter_of(lease.token), std::to_string(ttl.count()), forget_}, ttl, std::move(done));
}

void RedisStore::force_release(std::string name, UniqueFunction<void(Listing)> done) {
  const std::string at = key(name), tells = channel(name);
  run(scripts().force, {at}, {forget_, tells}, [name = std::move(name), done = std::move(done)](Answer answer) mutable {
    if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
    done(std::vector{lock(std::move(name), array(std::get<Value>(answer))[1])});
  });
}

void RedisStore::look(std::vector<std::string> names, UniqueFunction<void(Listing)> done) {
  Words keys;
  for (const std::string& name : names) keys.push_back(key(name));
  run(scripts().look, std::move(keys), {}, [names = std::move(names), done = std::move(done)](Answer answer) mutable {
    if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
    const auto& told = array(std::get<Value>(answer));
    std::vector<Lock> locks;
    for (std::size_t i = 0; i < names.size(); ++i) locks.push_back(lock(std::move(names[i]), told[i + 1]));
    done(std::move(locks));
  });
}

void RedisStore::inspect(std::string name, UniqueFunction<void(Listing)> done) { look({std::move(name)}, std::move(done)); }

void RedisStore::list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)> done) {
  auto search = std::make_shared<Search>();
  search->prefix = std::move(prefix);
  search->most = most;
  search->done = std::move(done);
  scan(std::move(search));
}

void RedisStore::scan(std::shared_ptr<Search> search) {
  Words words{"SCAN", search->cursor, "MATCH", pattern(kLock + search->prefix), "COUNT", "1000"};
  link_.call(std::move(words), options_.limit, [this, search](Answer answer) {
    if (auto* fault = std::get_if<Fault>(&answer)) return search->done(std::move(*fault));
    const auto& told = array(std::get<Value>(answer));
    for (const Value& each : array(told[1])) search->names.push_back(text(each).substr(kLock.size()));
    if (search->names.size() > kMostKeys)
      return search->done(Fault(Fault::Kind::too_large,
                                "more than " + std::to_string(kMostKeys) + " locks of that prefix are known; ask for a longer one"));
    search->cursor = text(told[0]);
    if (search->cursor != "0") return scan(search);
    std::ranges::sort(search->names);
    search->names.erase(std::unique(search->names.begin(), search->names.end()), search->names.end());
    look_further(search);
  });
}

void RedisStore::look_further(std::shared_ptr<Search> search) {
  if (search->found.size() >= search->most || search->looked == search->names.size()) {
    if (search->found.size() > search->most) search->found.resize(search->most);
    return search->done(std::move(search->found));
  }
  const auto from = search->names.begin() + static_cast<std::ptrdiff_t>(search->looked);
  const std::size_t count = std::min(kTogether, search->names.size() - search->looked);
  search->looked += count;
  look({from, from + static_cast<std::ptrdiff_t>(count)}, [this, search](Listing listing) {
    if (auto* fault = std::get_if<Fault>(&listing)) return search->done(std::move(*fault));
    for (Lock& each : std::get<std::vector<Lock>>(listing))
      if (!each.holders.empty()) search->found.push_back(std::move(each));
    look_further(search);
  });
}

std::unique_ptr<LeaseStore::Watch> RedisStore::watch(std::string name, UniqueFunction<void()> freed) {
  return std::make_unique<Listening>(subscriber_, name, std::move(freed));
}

}  // namespace sluice::lock
