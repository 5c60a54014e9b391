// What is done with a lease that several masters keep: release, renewal and undo, and how a master that missed one is mended.

#include "handlers/lock/redlock/parts.h"

namespace sluice::lock {
namespace {

constexpr milliseconds kLongest{3'600'000};  // lock.longest_ttl_ms, if it is left alone

}  // namespace

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

}  // namespace sluice::lock
