// How several masters grant a lease: they are asked, their votes are counted, and where they differ the token is settled.

#include <random>

#include "handlers/lock/redlock/parts.h"

namespace sluice::lock {
namespace {

constexpr milliseconds kFirst{1000};  // until it was met once
constexpr int kAttempts = 4;

// A master that takes longer is not waited for: the lease runs meanwhile.
milliseconds limit_of(milliseconds ttl) { return std::clamp(ttl / 10, milliseconds(20), milliseconds(100)); }

GrantVote grant_of(const Value& value) {
  const auto& told = array(value);
  const std::int64_t existed = integer(told[2]);
  return {token(told[0], told[1]),
          milliseconds(integer(told[3])),
          existed > 0,
          existed > 1,
          token(told[4], told[5]),
          token(told[6], told[7]),
          lines_of(told[8]),
          lines_of(told[9])};
}

}  // namespace

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
    Words keys{server.undone(request.nonce, request.names.front())};
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
          last_ = std::max(last_, vote.held.holder.token);
        } else if (word == "late") {
          vote.kind = Vote::Kind::late;
          last_ = std::max(last_, token(told[1], told[2]));
          why = masters_[i]->server.name() + " was asked too late: the lock was taken and given back meanwhile";
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
        if (agreed.count > 1) remember_inner({attempt->request.names[i], attempt->request.owner, agreed.token}, attempt->nonce);
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
    case Verdict::Kind::outrun:
      retract(*attempt);
      if (attempt->tries < kAttempts) return start(std::move(attempt));
      return finish(*attempt, too_few(Fault::Kind::unavailable, attempt->why));
    case Verdict::Kind::held: retract(*attempt); return finish(*attempt, std::move(verdict.held));
    case Verdict::Kind::unavailable: retract(*attempt); return finish(*attempt, too_few(Fault::Kind::unavailable, attempt->why));
  }
}

void RedlockStore::finish(Attempt& attempt, Acquired acquired) {
  attempt.decided = true;
  std::exchange(attempt.done, {})(std::move(acquired));
}

// Nothing is granted before enough masters keep its token: whoever comes next is given a higher one by any majority.
void RedlockStore::settle(std::shared_ptr<Attempt> attempt) {
  ++attempt->rounds;
  attempt->votes = ballot<Vote>();
  const Acquire& request = attempt->request;
  Words arguments{request.owner, attempt->nonce, std::to_string(request.ttl.count()), std::to_string(forget_.count())};
  for (const Agreed& lease : attempt->leases) {
    arguments.push_back(epoch_of(lease.token));
    arguments.push_back(counter_of(lease.token));
    arguments.push_back(lease.goes_on ? "1" : "0");
  }
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
              GrantVote& grant = vote.grants.back();
              grant.before = grant.ended = 0;  // that was counted
              grant.existed = attempt->leases[name - 1].goes_on;
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
  for (std::size_t name = 0; name < vote.grants.size(); ++name)
    if (vote.grants[name].token != attempt.leases[name].token) return retract(attempt, i);
}

// From all that granted it, or may have.
void RedlockStore::retract(const Attempt& attempt) {
  for (std::size_t i = 0; i < masters_.size(); ++i) retract(attempt, i);
}

// One that did not answer in time has no part in a lease that others granted either: it may read the request when the lease is long over.
void RedlockStore::retract(const Attempt& attempt, std::size_t i) {
  if (attempt.asked_in_vain[i]) return;  // nothing of it is there
  const Server& server = masters_[i]->server;
  Words keys{server.undone(attempt.request.nonce, attempt.request.names.front())};
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

}  // namespace sluice::lock
