// What is done with a lease that several masters keep: release, renewal and undo, and how a master that missed one is mended.

#include "handlers/lock/redlock/parts.h"

namespace sluice::lock {
namespace {

constexpr milliseconds kLongest{3'600'000};  // lock.longest_ttl_ms, if it is left alone

KeptVote kept_vote_of(const Value::Array& told) {
  KeptVote vote{KeptVote::Kind::kept, kept_of(told), integer(told[5]), false, {}, {}, {}};
  if (told.size() == 6) return vote;  // of an undo
  vote.left = lines_of(told[6]);
  vote.gone = lines_of(told[7]);
  vote.taken = text(told[8]);
  return vote;
}

Words giving_back(const Server& server, const Lease& lease, const std::string& entry) {
  Words keys{server.key(lease.name)};
  if (!entry.empty()) keys.push_back(server.undone(entry.substr(0, entry.rfind(':')), lease.name));
  return keys;
}

Words told_to_give_back(const Server& server, const Lease& lease, const std::string& entry) {
  Words arguments{lease.owner, epoch_of(lease.token), counter_of(lease.token), server.channel(lease.name)};
  if (!entry.empty()) arguments.insert(arguments.end(), {entry, std::to_string(kRemembersUndone.count())});
  return arguments;
}

}  // namespace

// One release, renewal or undo.
struct RedlockStore::Changing {
  Lease lease;  // of an undo: none
  BootClock::time_point sent;
  milliseconds ttl{0};  // of a renewal
  bool gives_back = false;
  std::string entry;    // of a release: what is to be given back, where that had to be told; when it is decided, what was, if any
  std::size_t taken = 0;  // ... by so many masters, when they were asked before
  int rounds = 0;
  std::vector<KeptVote> votes;
  std::vector<std::string> why;
  UniqueFunction<void(Change)> done;
  bool decided = false;
  Entries certain;  // of a renewal, when it is decided: what enough masters keep
};

void RedlockStore::change(std::shared_ptr<Changing> changing, const redis::Script& script, Words keys, Words arguments, milliseconds limit) {
  changing->sent = BootClock::now();
  changing->votes = ballot<KeptVote>();
  changing->why.assign(masters_.size(), "");
  ++changing->rounds;
  for (std::size_t i = 0; i < masters_.size(); ++i)
    ask(i, script, keys, arguments, limit, [this, changing, i, round = changing->rounds](Answer answer) {
      if (changing->rounds != round) return;
      KeptVote& vote = changing->votes[i];
      if (auto* fault = std::get_if<Fault>(&answer)) {
        vote.kind = KeptVote::Kind::absent;
        vote.may_have = may_have_happened(*fault);
        changing->why[i] = fault->message();
      } else {
        vote = kept_vote_of(array(std::get<Value>(answer)));
      }
      if (changing->decided) return mend(*changing, i);
      Keeping keeping = changing->gives_back ? count_released(changing->votes, changing->entry, changing->taken) : count_kept(changing->votes);
      if (keeping.kind == Keeping::Kind::undecided) return;
      if (keeping.kind == Keeping::Kind::another && changing->rounds < kRounds) return give_back(changing, std::move(keeping.entry));
      changing->decided = true;
      const bool another = keeping.kind == Keeping::Kind::another;
      changing->entry = another ? "" : std::move(keeping.entry);
      if (changing->ttl.count() > 0) changing->certain = std::move(keeping.certain);
      for (std::size_t each = 0; each < masters_.size(); ++each) mend(*changing, each);
      if (keeping.kind == Keeping::Kind::kept) {
        keeping.kept.until = safe(changing->sent, changing->ttl);
        return changing->done(keeping.kept);
      }
      changing->done(too_few(keeping.kind == Keeping::Kind::unavailable ? Fault::Kind::unavailable : Fault::Kind::outcome_unknown, changing->why));
    });
}

// Masters that missed something are brought to what the others agreed about: one that still has an entry which was given back, or was
// away, must not keep it until it ends; one that has not got a lease which goes on keeps it from now on.
void RedlockStore::mend(const Changing& changing, std::size_t i) {
  const KeptVote& vote = changing.votes[i];
  const Lease& lease = changing.lease;
  const bool away = vote.kind == KeptVote::Kind::absent, missed = vote.kind == KeptVote::Kind::kept && !vote.kept.ok;
  if (!changing.entry.empty()) {
    // Not held there: the request may still be on its way. And what one master took out is given back everywhere.
    if (away || missed || std::ranges::find(vote.left, changing.entry) != vote.left.end())
      owe(i, voter_scripts().release, giving_back(masters_[i]->server, lease, changing.entry), told_to_give_back(masters_[i]->server, lease, changing.entry), changing.sent + kLongest);
  } else if (missed && !changing.certain.empty()) {
    std::int64_t slots = kExclusive;
    for (const KeptVote& other : changing.votes)
      if (other.kept.ok) slots = other.slots;
    std::string entries;
    for (const std::string& entry : changing.certain) entries += entry + '\n';
    ask(i, voter_scripts().restore, {masters_[i]->server.key(lease.name)},
        {lease.owner, epoch_of(lease.token), counter_of(lease.token), std::to_string(changing.ttl.count()), std::to_string(forget_.count()), std::to_string(slots), std::move(entries)},
        kKeeping, [](const Answer&) {});
  }
}

namespace {

constexpr std::size_t kMostInner = 10'000;

std::string key_of(const Lease& lease) { return std::to_string(lease.token) + ':' + lease.owner + ':' + lease.name; }

}  // namespace

// Nothing depends on it: what is forgotten, or was given back through another gateway, is asked for.
void RedlockStore::remember_inner(const Lease& lease, const std::string& entry) {
  if (inner_.size() >= kMostInner) inner_.erase(inner_.begin());
  inner_[key_of(lease)].push_back(entry);
}

std::string RedlockStore::take_inner(const Lease& lease) {
  if (inner_.empty()) return {};
  const auto found = inner_.find(key_of(lease));
  if (found == inner_.end()) return {};
  std::string entry = std::move(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) inner_.erase(found);
  return entry;
}

void RedlockStore::release(Lease lease, UniqueFunction<void(Change)> done) {
  std::string entry = take_inner(lease);
  auto changing = std::make_shared<Changing>();
  changing->gives_back = true;
  changing->lease = std::move(lease);
  changing->done = std::move(done);
  give_back(std::move(changing), std::move(entry));
}

// An empty entry: the one that began the lease.
void RedlockStore::give_back(std::shared_ptr<Changing> changing, std::string entry) {
  changing->taken = entry.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(changing->votes, entry, &KeptVote::taken));
  const Server& any = masters_.front()->server;
  Words keys = giving_back(any, changing->lease, entry), arguments = told_to_give_back(any, changing->lease, entry);
  changing->entry = std::move(entry);
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
  Words keys{any.undone(acquire.nonce, acquire.names.front())}, arguments{acquire.owner, all_attempts, std::to_string(kRemembersUndone.count())};
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

}  // namespace sluice::lock
