#include "handlers/lock/redis/store.h"

#include "handlers/lock/redis/answers.h"

namespace sluice::lock {
namespace {

using redis::Answer;
using redis::Words;

constexpr milliseconds kRemembersUndone{60'000};

Acquired acquired(const Acquire& acquire, BootClock::time_point sent, const std::string& server, const Value::Array& told) {
  const std::string& word = text(told[0]);
  if (word == "closed") return closed(server, told);
  if (word == "undone") return undone();
  if (word == "held") return held_of(acquire.names, told);
  std::vector<Grant> grants;
  for (std::size_t i = 0; i < acquire.names.size(); ++i) {
    const auto& each = array(told[i + 1]);
    grants.push_back({acquire.names[i], token(each[0], each[1]), integer(each[2]), safe(sent, milliseconds(integer(each[3]))), true});
  }
  return grants;
}

Listing listing_of(Server::Looks looks) {
  if (auto* fault = std::get_if<Fault>(&looks)) return std::move(*fault);
  std::vector<Lock> locks;
  for (auto& [name, told] : std::get<0>(looks)) locks.push_back(lock_of(std::move(name), told));
  return locks;
}

}  // namespace

RedisStore::RedisStore(Loop& home, const redis::Address& address, Options options)
    : home_(home),
      limit_(options.limit),
      forget_(std::to_string(options.forget.count())),
      server_(home, address, {.prefix = "sluice:lock", .file = std::move(options.file), .epoch = options.epoch, .link = options.link}) {
  server_.start(scripts().all());
}

RedisStore::~RedisStore() = default;

void RedisStore::acquire(Acquire acquire, UniqueFunction<void(Acquired)> done) {
  try {
    server_.guard().will_last(acquire.ttl);
  } catch (const Fault& fault) {
    return home_.post([done = std::move(done), fault]() mutable { done(fault); });
  }
  Words keys{server_.undone(acquire.nonce, acquire.names.front())};
  for (const std::string& name : acquire.names) keys.push_back(server_.key(name));
  Words arguments{acquire.owner,
                  acquire.nonce,
                  std::to_string(acquire.ttl.count()),
                  std::to_string(acquire.slots),
                  acquire.reentry_only ? "1" : "0",
                  std::to_string(acquire.intent.count()),
                  forget_};
  server_.run(scripts().acquire, std::move(keys), std::move(arguments), limit_,
              [this, sent = BootClock::now(), acquire = std::move(acquire), done = std::move(done)](Answer answer) mutable {
                if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
                done(acquired(acquire, sent, server_.name(), array(std::get<Value>(answer))));
              });
}

void RedisStore::change(const redis::Script& script, Words keys, Words arguments, milliseconds ttl, UniqueFunction<void(Change)> done) {
  server_.run(script, std::move(keys), std::move(arguments), limit_,
              [sent = BootClock::now(), ttl, done = std::move(done)](Answer answer) mutable {
                if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
                Kept kept = kept_of(array(std::get<Value>(answer)));
                kept.until = safe(sent, ttl);
                done(kept);
              });
}

void RedisStore::undo(Acquire acquire, UniqueFunction<void(Change)> done) {
  Words keys{server_.undone(acquire.nonce, acquire.names.front())},
      arguments{acquire.owner, acquire.nonce, std::to_string(kRemembersUndone.count())};
  for (const std::string& name : acquire.names) {
    keys.push_back(server_.key(name));
    arguments.push_back(server_.channel(name));
  }
  change(scripts().undo, std::move(keys), std::move(arguments), {}, std::move(done));
}

void RedisStore::release(Lease lease, UniqueFunction<void(Change)> done) {
  change(scripts().release, {server_.key(lease.name)},
         {lease.owner, epoch_of(lease.token), counter_of(lease.token), server_.channel(lease.name)}, {}, std::move(done));
}

void RedisStore::renew(Lease lease, milliseconds ttl, UniqueFunction<void(Change)> done) {
  try {
    server_.guard().will_last(ttl);
  } catch (const Fault& fault) {
    return home_.post([done = std::move(done), fault]() mutable { done(fault); });
  }
  change(scripts().renew, {server_.key(lease.name)},
         {lease.owner, epoch_of(lease.token), counter_of(lease.token), std::to_string(ttl.count()), forget_}, ttl, std::move(done));
}

void RedisStore::force_release(std::string name, UniqueFunction<void(Listing)> done) {
  const std::string at = server_.key(name), tells = server_.channel(name);
  server_.run(scripts().force, {at}, {forget_, tells}, limit_, [name = std::move(name), done = std::move(done)](Answer answer) mutable {
    if (auto* fault = std::get_if<Fault>(&answer)) return done(std::move(*fault));
    done(std::vector{lock_of(std::move(name), array(std::get<Value>(answer))[1])});
  });
}

void RedisStore::inspect(std::string name, UniqueFunction<void(Listing)> done) {
  server_.look(scripts().look, {std::move(name)}, limit_, [done = std::move(done)](Server::Looks looks) mutable { done(listing_of(std::move(looks))); });
}

void RedisStore::list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)> done) {
  server_.list(scripts().look, std::move(prefix), most, limit_, [done = std::move(done)](Server::Looks looks) mutable { done(listing_of(std::move(looks))); });
}

std::unique_ptr<LeaseStore::Watch> RedisStore::watch(std::string name, UniqueFunction<void()> freed) {
  return server_.watch(name, std::move(freed));
}

}  // namespace sluice::lock
