#include "handlers/lock/redlock/store.h"

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>

#include "handlers/lock/redis/answers.h"

namespace sluice::lock {
namespace {

using redis::Answer;
using redis::Words;

constexpr milliseconds kRemembersUndone{60'000};
constexpr milliseconds kKeeping{500};    // for a release, a renewal or a look: nobody else waits for those
constexpr milliseconds kSilent{20};      // of a look: for a master that did not answer before
constexpr milliseconds kFirst{1000};     // until it was met once
constexpr milliseconds kCleanUp{2000};   // nobody waits for it
constexpr milliseconds kLongest{3'600'000};  // lock.longest_ttl_ms, if it is left alone
constexpr std::size_t kMostDebts = 10'000;
constexpr int kAttempts = 4;
constexpr int kRounds = 3;  // of telling masters a token

// A master that takes longer is not waited for: the lease runs meanwhile.
milliseconds limit_of(milliseconds ttl) { return std::clamp(ttl / 10, milliseconds(20), milliseconds(100)); }

GrantVote grant_of(const Value& value) {
  const auto& told = array(value);
  return {token(told[0], told[1]),
          integer(told[2]),
          milliseconds(integer(told[3])),
          integer(told[4]) == 1,
          token(told[5], told[6]),
          token(told[7], told[8])};
}

bool may_have_happened(const Fault& fault) { return fault.kind() == Fault::Kind::outcome_unknown; }

}  // namespace

struct RedlockStore::Master {
  Master(Loop& home, const redis::Address& address, Server::Options options) : server(home, address, std::move(options)) {}

  // What must be taken back there as soon as it can be.
  struct Debt {
    const redis::Script* script;
    Words keys, arguments;
    BootClock::time_point until;
  };
  std::deque<Debt> debts;
  bool silent = false;  // the last answer that was awaited did not come
  bool met = false;
  Server server;
};

// One acquire; and of each time that the masters are asked for it the votes.
struct RedlockStore::Attempt {
  Attempt(Loop& home, Acquire request, UniqueFunction<void(Acquired)> done)
      : request(std::move(request)), done(std::move(done)), enough(0), pause(home) {}

  const Acquire request;
  UniqueFunction<void(Acquired)> done;
  std::size_t enough;
  Timer pause;
  int tries = 0, rounds = 0;
  std::uint64_t number = 0;      // of this try
  std::string nonce;             // of this try
  BootClock::time_point sent;    // before it left us
  std::vector<Vote> votes;
  std::vector<bool> asked_in_vain;  // nothing of it can be there
  std::vector<std::string> why;     // those that did not vote
  std::vector<Agreed> leases;       // what they come to
  bool decided = false;
};

// One release, renewal or undo.
struct RedlockStore::Changing {
  Lease lease;  // of an undo: none
  BootClock::time_point sent;
  milliseconds ttl{0};  // of a renewal
  std::vector<KeptVote> votes;
  std::vector<std::string> why;
  UniqueFunction<void(Change)> done;
  bool decided = false;
  std::optional<Kept> kept;  // what it came to
};

struct RedlockStore::Looking {
  std::vector<Lock> all;     // of all masters that answered, of all names
  std::size_t answered = 0, left = 0;
  std::vector<std::string> why;
  UniqueFunction<void(std::optional<Fault>, Looking&)> done;
};

RedlockStore::RedlockStore(Loop& home, const std::vector<redis::Address>& masters, Options options) : home_(home), forget_(options.forget) {
  if (masters.size() < 3 || masters.size() % 2 == 0)
    throw std::runtime_error("redlock:// takes an odd number of masters, three or more, not " + std::to_string(masters.size()));
  for (const redis::Address& address : masters) {
    Server::Options own{.prefix = "sluice:redlock", .file = options.file + address.label(), .epoch = options.epoch, .link = options.link};
    masters_.push_back(std::make_unique<Master>(home, address, std::move(own)));
  }
  for (std::size_t i = 0; i < masters_.size(); ++i)
    masters_[i]->server.start(voter_scripts().all(), [this, i] { settle_debts(i); });
}

RedlockStore::~RedlockStore() = default;

// --- Asking one, and what is owed to it

void RedlockStore::ask(std::size_t i, const redis::Script& script, Words keys, Words arguments, milliseconds limit, redis::Done done) {
  masters_[i]->server.run(script, std::move(keys), std::move(arguments), limit, [this, i, done = std::move(done)](Answer answer) mutable {
    masters_[i]->silent = std::holds_alternative<Fault>(answer);
    done(std::move(answer));
  });
}

// Until it worked, or nothing that it takes back can live any more.
void RedlockStore::owe(std::size_t i, const redis::Script& script, Words keys, Words arguments, BootClock::time_point until) {
  ask(i, script, keys, arguments, kCleanUp, [this, i, &script, keys, arguments, until](Answer answer) {
    if (std::holds_alternative<Value>(answer) || BootClock::now() >= until) return;
    auto& debts = masters_[i]->debts;
    if (debts.size() >= kMostDebts) debts.pop_front();
    debts.push_back({&script, keys, arguments, until});
  });
}

// On each new connection, before anything is asked.
void RedlockStore::settle_debts(std::size_t i) {
  Master& master = *masters_[i];
  master.met = true;
  std::int64_t newest = 0;
  for (const auto& each : masters_) newest = std::max(newest, each->server.guard().epoch());
  for (const auto& each : masters_) each->server.guard().begin_above(newest);
  last_ = std::max(last_, first_token(newest));
  for (Master::Debt& debt : std::exchange(master.debts, {})) {
    if (BootClock::now() >= debt.until) continue;
    Words keys = debt.keys, arguments = debt.arguments;
    master.server.run_first(*debt.script, std::move(keys), std::move(arguments), kCleanUp, [&master, debt](const Answer& answer) {
      if (std::holds_alternative<Fault>(answer)) master.debts.push_back(debt);
    });
  }
}

// A hybrid logical clock: the wall clock's sixteenths of a millisecond, and never lower than what was proposed or seen. A busy gateway
// does not run ahead of the time by that, which would make others propose too little; 48 bits of it last until the year 2527.
Token RedlockStore::propose() {
  const auto wall = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const Token at = first_token(last_ >> 48) + wall * 16 / 1000;
  return last_ = std::max(last_ + 1, at);
}

template <class V>
std::vector<V> RedlockStore::ballot() const {
  std::vector<V> votes(masters_.size());
  for (std::size_t i = 0; i < masters_.size(); ++i)
    if (masters_[i]->silent) votes[i].kind = V::Kind::silent;
  return votes;
}

Fault RedlockStore::too_few(Fault::Kind kind, const std::vector<std::string>& why) const {
  std::string text;
  for (const std::string& each : why)
    if (!each.empty()) text += (text.empty() ? "" : "; ") + each;
  return Fault(kind, "too few of the " + std::to_string(masters_.size()) + " Redis masters agree: " + (text.empty() ? "the others did not answer" : text));
}

// --- Acquire

void RedlockStore::acquire(Acquire acquire, UniqueFunction<void(Acquired)> done) {
  try {
    for (const auto& master : masters_) master->server.guard().will_last(acquire.ttl);
  } catch (const Fault& fault) {
    return home_.post([done = std::move(done), fault]() mutable { done(fault); });
  }
  auto attempt = std::make_shared<Attempt>(home_, std::move(acquire), std::move(done));
  attempt->enough = needed(masters_.size(), attempt->request.slots);
  start(std::move(attempt));
}

void RedlockStore::start(std::shared_ptr<Attempt> attempt) {
  const Acquire& request = attempt->request;
  ++attempt->tries;
  attempt->number = ++last_attempt_;
  attempt->nonce = request.nonce + ":" + std::to_string(attempt->number);
  attempt->rounds = 0;
  attempt->decided = false;
  attempt->votes = ballot<Vote>();
  attempt->asked_in_vain.assign(masters_.size(), false);
  attempt->why.assign(masters_.size(), "");
  const Token proposed = propose();
  attempt->sent = BootClock::now();
  const Words arguments{request.owner,
                        attempt->nonce,
                        std::to_string(request.ttl.count()),
                        std::to_string(request.slots),
                        request.reentry_only ? "1" : "0",
                        std::to_string(request.intent.count()),
                        std::to_string(forget_.count()),
                        epoch_of(proposed),
                        counter_of(proposed)};
  for (std::size_t i = 0; i < masters_.size(); ++i) {
    const Server& server = masters_[i]->server;
    Words keys{server.undone(attempt->nonce, request.names.front())};
    for (const std::string& name : request.names) keys.push_back(server.key(name));
    ask(i, voter_scripts().acquire, std::move(keys), arguments, masters_[i]->met ? limit_of(request.ttl) : kFirst, [this, attempt, i, number = attempt->number](Answer answer) {
      Vote vote{Vote::Kind::absent, {}, {}};
      std::string why;
      bool in_vain = true;
      if (auto* fault = std::get_if<Fault>(&answer)) {
        why = fault->message();
        in_vain = !may_have_happened(*fault);
      } else {
        const auto& told = array(std::get<Value>(answer));
        const std::string& word = text(told[0]);
        if (word == "granted") {
          vote.kind = Vote::Kind::granted;
          for (std::size_t name = 1; name < told.size(); ++name) vote.grants.push_back(grant_of(told[name]));
          in_vain = false;
        } else if (word == "held") {
          vote.kind = Vote::Kind::held;
          vote.held = held_of(attempt->request.names, told);
        } else {
          why = word == "closed" ? closed(masters_[i]->server.name(), told).message() : lock::undone().message();
        }
      }
      if (attempt->number != number) return;  // it was taken back, and asked anew
      if (attempt->rounds > 0) return;  // what it says to being told a token counts now
      if (attempt->decided) return in_vain ? void() : late(*attempt, i, vote);
      attempt->votes[i] = std::move(vote);
      attempt->why[i] = std::move(why);
      attempt->asked_in_vain[i] = in_vain;
      count(attempt);
    });
  }
}

void RedlockStore::count(std::shared_ptr<Attempt> attempt) {
  Verdict verdict = count_votes(attempt->votes, attempt->enough, attempt->request.slots);
  switch (verdict.kind) {
    case Verdict::Kind::undecided: return;
    case Verdict::Kind::granted: {
      attempt->decided = true;
      attempt->leases = std::move(verdict.leases);
      std::size_t durable = 0;
      for (std::size_t i = 0; i < masters_.size(); ++i)
        if (attempt->votes[i].kind == Vote::Kind::granted && masters_[i]->server.guard().is_durable()) ++durable;
      std::vector<Grant> grants;
      for (std::size_t i = 0; i < attempt->leases.size(); ++i) {
        const Agreed& agreed = attempt->leases[i];
        last_ = std::max(last_, agreed.token);
        grants.push_back({attempt->request.names[i], agreed.token, agreed.count, safe(attempt->sent, agreed.left), durable >= attempt->enough});
      }
      for (std::size_t i = 0; i < masters_.size(); ++i) {
        const Vote& vote = attempt->votes[i];
        const bool open = vote.kind == Vote::Kind::none || vote.kind == Vote::Kind::silent;
        if (!open || attempt->rounds > 0) late(*attempt, i, vote);  // else when it answers
      }
      return finish(*attempt, std::move(grants));
    }
    case Verdict::Kind::unsettled:
      attempt->leases = std::move(verdict.leases);
      if (attempt->rounds < kRounds) return settle(std::move(attempt));
      [[fallthrough]];
    case Verdict::Kind::contested:
      retract(*attempt);
      if (attempt->tries < kAttempts) return rest(std::move(attempt));
      if (verdict.kind == Verdict::Kind::unsettled) return finish(*attempt, too_few(Fault::Kind::unavailable, attempt->why));
      return finish(*attempt, std::move(verdict.held));
    case Verdict::Kind::held: retract(*attempt); return finish(*attempt, std::move(verdict.held));
    case Verdict::Kind::unavailable: retract(*attempt); return finish(*attempt, too_few(Fault::Kind::unavailable, attempt->why));
  }
}

void RedlockStore::finish(Attempt& attempt, Acquired acquired) {
  attempt.decided = true;
  std::exchange(attempt.done, {})(std::move(acquired));
}

namespace {

Words settling(const Acquire& request, const std::string& nonce, const std::vector<Agreed>& leases, milliseconds forget) {
  Words words{request.owner, nonce, std::to_string(request.ttl.count()), std::to_string(forget.count())};
  for (const Agreed& lease : leases) {
    words.push_back(epoch_of(lease.token));
    words.push_back(counter_of(lease.token));
    words.push_back(std::to_string(lease.count));
    words.push_back(lease.goes_on ? "1" : "0");
  }
  return words;
}

}  // namespace

// Nothing is granted before enough masters keep its token: whoever comes next is given a higher one by any majority.
void RedlockStore::settle(std::shared_ptr<Attempt> attempt) {
  ++attempt->rounds;
  attempt->votes = ballot<Vote>();
  const Words arguments = settling(attempt->request, attempt->nonce, attempt->leases, forget_);
  for (std::size_t i = 0; i < masters_.size(); ++i) {
    Words keys;
    for (const std::string& name : attempt->request.names) keys.push_back(masters_[i]->server.key(name));
    ask(i, voter_scripts().settle, std::move(keys), arguments, limit_of(attempt->request.ttl),
        [this, attempt, i, number = attempt->number, round = attempt->rounds](Answer answer) {
          if (attempt->number != number || attempt->decided || attempt->rounds != round) return;
          Vote& vote = attempt->votes[i];
          vote.kind = Vote::Kind::absent;
          if (auto* fault = std::get_if<Fault>(&answer)) {
            attempt->why[i] = fault->message();
          } else if (const auto& told = array(std::get<Value>(answer)); text(told[0]) == "granted") {
            vote.kind = Vote::Kind::granted;
            for (std::size_t name = 1; name < told.size(); ++name) {
              vote.grants.push_back(grant_of(told[name]));
              vote.grants.back().before = vote.grants.back().ended = 0;  // that was counted
            }
          }
          count(attempt);
        });
  }
}

// A master that has come to another token, or may have, takes no part: releases would not find the lease there. Nor can it be told better,
// since the lease may have been given back meanwhile. A renewal makes up for it.
void RedlockStore::late(const Attempt& attempt, std::size_t i, const Vote& vote) {
  if (attempt.leases.empty()) return;  // it came to nothing, and was taken back
  if (vote.kind != Vote::Kind::granted) return retract(attempt, i);
  bool counts_otherwise = false;
  for (std::size_t name = 0; name < vote.grants.size(); ++name) {
    if (vote.grants[name].token != attempt.leases[name].token) return retract(attempt, i);
    counts_otherwise |= vote.grants[name].count != attempt.leases[name].count;
  }
  if (counts_otherwise) tell(attempt, i);
}

void RedlockStore::tell(const Attempt& attempt, std::size_t i) {
  Words keys;
  for (const std::string& name : attempt.request.names) keys.push_back(masters_[i]->server.key(name));
  ask(i, voter_scripts().settle, std::move(keys), settling(attempt.request, attempt.nonce, attempt.leases, forget_), kKeeping, [](const Answer&) {});
}

// From all that granted it, or may have.
void RedlockStore::retract(const Attempt& attempt) {
  for (std::size_t i = 0; i < masters_.size(); ++i) retract(attempt, i);
}

// One that did not answer in time has no part in a lease that others granted either: it may read the request when the lease is long over.
void RedlockStore::retract(const Attempt& attempt, std::size_t i) {
  if (attempt.asked_in_vain[i]) return;  // nothing of it is there
  const Server& server = masters_[i]->server;
  Words keys{server.undone(attempt.nonce, attempt.request.names.front())};
  for (const std::string& name : attempt.request.names) keys.push_back(server.key(name));
  owe(i, voter_scripts().undo, std::move(keys), {attempt.request.owner, attempt.nonce, std::to_string(kRemembersUndone.count())},
      attempt.sent + attempt.request.ttl + milliseconds(1000));
}

// Those who met must not meet again.
void RedlockStore::rest(std::shared_ptr<Attempt> attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  attempt->decided = true;
  const milliseconds pause(1 + static_cast<std::int64_t>(random()) % (8 << attempt->tries));
  const auto id = attempt->number;
  Attempt& resting = *(resting_[id] = std::move(attempt));
  resting.leases.clear();
  resting.pause.start(pause, [this, id] {
    auto node = resting_.extract(id);
    start(std::move(node.mapped()));
  });
}

// --- What is done with a lease

void RedlockStore::change(std::shared_ptr<Changing> changing, const redis::Script& script, Words keys, Words arguments, milliseconds limit) {
  changing->sent = BootClock::now();
  changing->votes = ballot<KeptVote>();
  changing->why.assign(masters_.size(), "");
  for (std::size_t i = 0; i < masters_.size(); ++i)
    ask(i, script, keys, arguments, limit, [this, changing, i](Answer answer) {
      KeptVote& vote = changing->votes[i];
      if (auto* fault = std::get_if<Fault>(&answer)) {
        vote.kind = KeptVote::Kind::absent;
        vote.may_have = may_have_happened(*fault);
        changing->why[i] = fault->message();
      } else {
        const auto& told = array(std::get<Value>(answer));
        vote.kind = KeptVote::Kind::kept;
        vote.kept = kept_of(told);
        vote.slots = integer(told[5]);
      }
      if (changing->kept) return mend(*changing, i);
      if (changing->decided) return;
      const Keeping keeping = count_kept(changing->votes);
      if (keeping.kind == Keeping::Kind::undecided) return;
      changing->decided = true;
      if (keeping.kind != Keeping::Kind::kept)
        return changing->done(too_few(keeping.kind == Keeping::Kind::unknown ? Fault::Kind::outcome_unknown : Fault::Kind::unavailable, changing->why));
      Kept kept = keeping.kept;
      kept.until = safe(changing->sent, changing->ttl);
      changing->kept = kept;
      for (std::size_t each = 0; each < masters_.size(); ++each) mend(*changing, each);
      changing->done(kept);
    });
}

// Masters that missed something are brought to what the others agreed about: one that still counts a lease which was given back, or
// was away, must not keep it until it ends; one that has not got a lease which goes on keeps it from now on.
void RedlockStore::mend(const Changing& changing, std::size_t i) {
  const KeptVote& vote = changing.votes[i];
  const Lease& lease = changing.lease;
  const Server& server = masters_[i]->server;
  if (!changing.kept->ok || lease.name.empty()) return;
  if (changing.ttl.count() == 0 && changing.kept->count == 0) {
    // Not held there: another gateway's request may have come after this release.
    if (vote.kind == KeptVote::Kind::absent || (vote.kind == KeptVote::Kind::kept && (vote.kept.count > 0 || !vote.kept.ok)))
      owe(i, voter_scripts().release, {server.key(lease.name)},
          {lease.owner, epoch_of(lease.token), counter_of(lease.token), server.channel(lease.name), "all"}, changing.sent + kLongest);
  } else if (changing.ttl.count() > 0 && vote.kind == KeptVote::Kind::kept && !vote.kept.ok) {
    std::int64_t slots = kExclusive;
    for (const KeptVote& other : changing.votes)
      if (other.kept.ok) slots = other.slots;
    ask(i, voter_scripts().restore, {server.key(lease.name)},
        {lease.owner, epoch_of(lease.token), counter_of(lease.token), std::to_string(changing.ttl.count()), std::to_string(forget_.count()),
         std::to_string(slots), std::to_string(changing.kept->count)},
        kKeeping, [](const Answer&) {});
  }
}

void RedlockStore::release(Lease lease, UniqueFunction<void(Change)> done) {
  const Server& any = masters_.front()->server;
  Words keys{any.key(lease.name)}, arguments{lease.owner, epoch_of(lease.token), counter_of(lease.token), any.channel(lease.name)};
  auto changing = std::make_shared<Changing>();
  changing->lease = std::move(lease);
  changing->done = std::move(done);
  change(std::move(changing), voter_scripts().release, std::move(keys), std::move(arguments), kKeeping);
}

void RedlockStore::renew(Lease lease, milliseconds ttl, UniqueFunction<void(Change)> done) {
  try {
    for (const auto& master : masters_) master->server.guard().will_last(ttl);
  } catch (const Fault& fault) {
    return home_.post([done = std::move(done), fault]() mutable { done(fault); });
  }
  Words keys{masters_.front()->server.key(lease.name)},
      arguments{lease.owner, epoch_of(lease.token), counter_of(lease.token), std::to_string(ttl.count()), std::to_string(forget_.count())};
  auto changing = std::make_shared<Changing>();
  changing->lease = std::move(lease);
  changing->ttl = ttl;
  changing->done = std::move(done);
  change(std::move(changing), voter_scripts().renew, std::move(keys), std::move(arguments), std::min(kKeeping, ttl));
}

// What was granted is taken back wherever it may be; those who cannot be reached are told later.
void RedlockStore::undo(Acquire acquire, UniqueFunction<void(Change)> done) {
  const Server& any = masters_.front()->server;
  const std::string all_attempts = acquire.nonce + ":";
  Words keys{any.undone(all_attempts, acquire.names.front())}, arguments{acquire.owner, all_attempts, std::to_string(kRemembersUndone.count())};
  for (const std::string& name : acquire.names) {
    keys.push_back(any.key(name));
    arguments.push_back(any.channel(name));
  }
  auto changing = std::make_shared<Changing>();
  changing->done = [this, acquire = std::move(acquire), changing = changing.get(), keys, arguments, done = std::move(done)](Change change) mutable {
    for (std::size_t i = 0; i < masters_.size(); ++i)
      if (changing->votes[i].kind != KeptVote::Kind::kept) owe(i, voter_scripts().undo, keys, arguments, BootClock::now() + acquire.ttl + milliseconds(1000));
    done(std::move(change));
  };
  change(std::move(changing), voter_scripts().undo, std::move(keys), std::move(arguments), kKeeping);
}

// --- Looks

void RedlockStore::look(std::shared_ptr<Looking> looking, std::size_t i, Listing listing) {
  --looking->left;
  masters_[i]->silent = std::holds_alternative<Fault>(listing);
  if (auto* fault = std::get_if<Fault>(&listing)) {
    looking->why[i] = fault->message();
  } else {
    ++looking->answered;
    std::ranges::move(std::get<std::vector<Lock>>(listing), std::back_inserter(looking->all));
  }
  if (looking->left > 0) return;
  std::optional<Fault> fault;
  if (looking->answered < needed(masters_.size(), kExclusive)) fault = too_few(Fault::Kind::unavailable, looking->why);
  looking->done(std::move(fault), *looking);
}

void RedlockStore::inspect(std::string name, UniqueFunction<void(Listing)> done) {
  auto looking = std::make_shared<Looking>();
  looking->left = masters_.size();
  looking->why.resize(masters_.size());
  looking->done = [this, name, done = std::move(done)](std::optional<Fault> fault, Looking& looking) mutable {
    if (fault) return done(std::move(*fault));
    done(std::vector{merge(name, masters_.size(), looking.all)});
  };
  for (std::size_t i = 0; i < masters_.size(); ++i)
    masters_[i]->server.look(voter_scripts().look, {name}, masters_[i]->silent ? kSilent : kKeeping, [this, looking, i](Listing listing) { look(looking, i, std::move(listing)); });
}

void RedlockStore::list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)> done) {
  auto looking = std::make_shared<Looking>();
  looking->left = masters_.size();
  looking->why.resize(masters_.size());
  looking->done = [this, most, done = std::move(done)](std::optional<Fault> fault, Looking& looking) mutable {
    if (fault) return done(std::move(*fault));
    std::map<std::string, std::vector<Lock>> by_name;
    for (Lock& lock : looking.all) by_name[lock.name].push_back(std::move(lock));
    std::vector<Lock> all;
    for (auto& [name, looks] : by_name) {
      // One that answered and does not list it knows of no holder.
      looks.resize(looking.answered);
      Lock lock = merge(name, masters_.size(), looks);
      if (!lock.holders.empty() && all.size() < most) all.push_back(std::move(lock));
    }
    done(std::move(all));
  };
  for (std::size_t i = 0; i < masters_.size(); ++i)
    masters_[i]->server.list(voter_scripts().look, prefix, most, masters_[i]->silent ? kSilent : kKeeping, [this, looking, i](Listing listing) { look(looking, i, std::move(listing)); });
}

void RedlockStore::force_release(std::string name, UniqueFunction<void(Listing)> done) {
  force(std::move(name), propose(), {}, kRounds, std::move(done));
}

// Again with a higher token, until enough masters have the same one.
void RedlockStore::force(std::string name, Token proposed, std::vector<Holder> holders, int rounds, UniqueFunction<void(Listing)> done) {
  auto looking = std::make_shared<Looking>();
  looking->left = masters_.size();
  looking->why.resize(masters_.size());
  const Server& any = masters_.front()->server;
  Words keys{any.key(name)}, arguments{std::to_string(forget_.count()), any.channel(name), epoch_of(proposed), counter_of(proposed)};
  looking->done = [this, name, holders = std::move(holders), rounds, done = std::move(done)](std::optional<Fault> fault, Looking& looking) mutable {
    if (fault) return done(looking.answered == 0 ? std::move(*fault) : too_few(Fault::Kind::outcome_unknown, looking.why));
    Lock lock = merge(name, masters_.size(), looking.all);
    last_ = std::max(last_, lock.newest);
    if (rounds == kRounds) holders = std::move(lock.holders);
    lock.holders = holders;
    const auto same = std::ranges::count(looking.all, lock.newest, &Lock::newest);
    if (static_cast<std::size_t>(same) >= needed(masters_.size(), kExclusive)) return done(std::vector{std::move(lock)});
    if (rounds == 0) return done(too_few(Fault::Kind::outcome_unknown, looking.why));
    force(std::move(name), propose(), std::move(holders), rounds - 1, std::move(done));
  };
  for (std::size_t i = 0; i < masters_.size(); ++i)
    ask(i, voter_scripts().force, keys, arguments, masters_[i]->silent ? kSilent : kKeeping, [this, looking, i, name](Answer answer) {
      if (auto* fault = std::get_if<Fault>(&answer)) return look(looking, i, std::move(*fault));
      look(looking, i, std::vector{lock_of(name, array(std::get<Value>(answer))[1])});
    });
}

namespace {

// Each master tells of a release; whoever hears of it first asks, and the others' news do no harm.
class Watching final : public LeaseStore::Watch {
 public:
  std::vector<std::unique_ptr<LeaseStore::Watch>> each;
};

}  // namespace

std::unique_ptr<LeaseStore::Watch> RedlockStore::watch(std::string name, UniqueFunction<void()> freed) {
  auto all = std::make_unique<Watching>();
  auto shared = std::make_shared<UniqueFunction<void()>>(std::move(freed));
  for (const auto& master : masters_) all->each.push_back(master->server.watch(name, [shared] { (*shared)(); }));
  return all;
}

}  // namespace sluice::lock
