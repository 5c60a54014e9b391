#include "handlers/lock/space.h"

#include <algorithm>
#include <map>

namespace sluice::lock {
namespace {

constexpr milliseconds kLookAgain{1000};      // though nothing woke us
constexpr milliseconds kAfterFailure{100};
constexpr milliseconds kLongestPause{2000};
constexpr milliseconds kIntent{2000};         // renewed by each attempt, so more than kLookAgain

BootClock::time_point in(milliseconds span) { return BootClock::now() + span; }

}  // namespace

struct Space::Waiter {
  Waiter(Loop& home, Id id, Acquire request, Done done) : id(id), request(std::move(request)), done(std::move(done)), retry(home), limit(home) {}

  const Id id;
  const BootClock::time_point since = BootClock::now();
  Acquire request;
  Done done;  // empty: he is gone, and waits only for the store's answer
  BootClock::time_point until;
  bool asking = false;    // the store has his request
  bool again = false;     // something happened meanwhile: ask once more
  bool in_line = false;
  std::optional<Held> last;
  std::optional<Fault> failure;  // of the last attempt
  Timer retry, limit;
  std::map<std::string, std::unique_ptr<LeaseStore::Watch>> watches;
};

struct Space::Undo {
  Undo(Loop& home, Acquire request) : request(std::move(request)), until(in(this->request.ttl + milliseconds(1000))), timer(home) {}
  const Acquire request;
  const BootClock::time_point until;
  milliseconds pause = kAfterFailure;
  Timer timer;
};

Space::Space(Loop& home, std::unique_ptr<LeaseStore> store, Limits limits) : home_(home), store_(std::move(store)), limits_(limits) {}
Space::~Space() = default;

Space::Waiter* Space::find(Id id) noexcept {
  const auto found = waiters_.find(id);
  return found == waiters_.end() ? nullptr : found->second.get();
}

void Space::acquire(Id id, Acquire request, milliseconds wait, Done done) {
  if (waiters_.size() >= limits_.waiters) {
    done(Fault(Fault::Kind::overloaded, std::to_string(limits_.waiters) + " calls wait for locks already (lock.waiters); try again in a moment"));
    return;
  }
  auto& waiter = *waiters_.emplace(id, std::make_unique<Waiter>(home_, id, std::move(request), std::move(done))).first->second;
  waiter.until = in(wait);
  waiter.request.waits = wait.count() > 0;
  waiter.limit.start(wait.count() > 0 ? wait : limits_.attempt, [this, id] { out_of_time(id); });
  // Others wait: only who holds the lock already may pass them, or he and the first of them would wait for each other.
  waiter.request.reentry_only = queue_.any_waits(waiter.request.names);
  ask(waiter);
}

void Space::ask(Waiter& waiter) {
  waiter.asking = true;
  waiter.again = false;
  waiter.retry.stop();
  // A writer who waits for readers to leave lets no new ones in, but not for longer than he waits.
  if (waiter.request.slots == kExclusive) waiter.request.intent = std::clamp(waiter.until - BootClock::now(), milliseconds(0), kIntent);
  store_->acquire(waiter.request, [this, alive = std::weak_ptr<bool>(alive_), id = waiter.id](Acquired acquired) {
    if (!alive.expired()) answered(id, std::move(acquired));
  });
}

void Space::answered(Id id, Acquired acquired) {
  Waiter& waiter = *waiters_.at(id);  // it stays while it asks
  waiter.asking = false;
  if (!waiter.done) {
    const auto* fault = std::get_if<Fault>(&acquired);
    if (std::holds_alternative<std::vector<Grant>>(acquired) || (fault && fault->kind() == Fault::Kind::outcome_unknown)) undo(waiter.request);
    waiters_.erase(id);
    return;
  }
  if (auto* grants = std::get_if<std::vector<Grant>>(&acquired)) {
    // The gateway may have stood still while the answer was on its way: what has ended is not handed out.
    const auto now = BootClock::now();
    if (std::ranges::all_of(*grants, [&](const Grant& grant) { return grant.until > now; })) return finish(waiter, std::move(acquired));
    undo(waiter.request);
    waiter.request.nonce += '+';
    return failed(waiter, Fault(Fault::Kind::unavailable, "the lock's lease had ended before the store's answer came; a longer ttl_ms, or a store that is less busy, will help"));
  }
  if (auto* held = std::get_if<Held>(&acquired)) return refused(waiter, std::move(*held));
  failed(waiter, std::get<Fault>(acquired));
}

void Space::refused(Waiter& waiter, Held held) {
  const auto now = BootClock::now();
  if (held.reason == Held::Reason::other_mode || now >= waiter.until) return finish(waiter, std::move(held));
  waiter.last = held;
  waiter.failure.reset();
  waiter.request.reentry_only = false;
  if (!waiter.in_line) stand_in_line(waiter);
  if (!queue_.is_front(waiter.id, waiter.request.names)) return;
  if (waiter.again) return ask(waiter);
  // The end of the lease in the way is no event of the store's: it is looked for.
  const milliseconds pause = held.holder.name.empty() ? kAfterFailure : std::clamp(held.holder.remaining + milliseconds(1), milliseconds(1), kLookAgain);
  waiter.retry.start(pause, [this, id = waiter.id] { poke(id); });
}

void Space::failed(Waiter& waiter, const Fault& fault) {
  const bool may_pass = fault.kind() == Fault::Kind::unavailable || fault.kind() == Fault::Kind::outcome_unknown || fault.kind() == Fault::Kind::deadline_exceeded;
  if (may_pass && BootClock::now() < waiter.until) {
    waiter.failure = fault;
    waiter.retry.start(kAfterFailure, [this, id = waiter.id] {
      Waiter* still = find(id);
      if (still && !still->asking) ask(*still);  // with the same nonce: what was granted unseen is found, not counted twice
    });
    return;
  }
  if (fault.kind() == Fault::Kind::outcome_unknown) undo(waiter.request);
  // It was the store that had no time left; how long the caller waits, he has said in wait_ms.
  finish(waiter, fault.kind() == Fault::Kind::deadline_exceeded ? Fault(Fault::Kind::unavailable, "the store '" + std::string(store_->backend()) + "': " + fault.message(), fault.detail()) : fault);
}

void Space::out_of_time(Id id) {
  Waiter* waiter = find(id);
  if (!waiter) return;
  const auto now = BootClock::now(), with_grace = waiter->until + limits_.grace;
  const auto last = waiter->in_line ? with_grace : std::max(with_grace, waiter->since + limits_.attempt);
  if (waiter->asking && now < last) {
    waiter->limit.start(last - now, [this, id] { out_of_time(id); });
    return;
  }
  if (waiter->asking)
    return finish(*waiter, Fault(Fault::Kind::outcome_unknown, "the store '" + std::string(store_->backend()) + "' did not answer in time; if it granted the lock after all, that is taken back"));
  if (waiter->failure) return failed(*waiter, Fault(*waiter->failure));
  if (waiter->last) return finish(*waiter, std::move(*waiter->last));
  finish(*waiter, Fault(Fault::Kind::unavailable, "the store '" + std::string(store_->backend()) + "' could not be asked within wait_ms"));
}

void Space::stand_in_line(Waiter& waiter) {
  waiter.in_line = true;
  queue_.add(waiter.id, waiter.request.names);
  watch(waiter);
}

// One watch for each name, kept by whoever stands first; the next one takes it over.
void Space::watch(Waiter& waiter) {
  for (const std::string& name : waiter.request.names)
    if (auto& watch = waiter.watches[name]; !watch && queue_.front(name) == waiter.id) watch = store_->watch(name, [this, name] { wake(name); });
}

// Out of all lines; who came to the front by that asks at once.
void Space::leave(Waiter& waiter, bool forget) {
  waiter.retry.stop();
  waiter.limit.stop();
  waiter.watches.clear();
  std::vector<Id> next;
  if (std::exchange(waiter.in_line, false)) next = queue_.remove(waiter.id, waiter.request.names);
  if (forget) waiters_.erase(waiter.id);
  for (const Id id : next) {
    if (Waiter* moved_up = find(id)) watch(*moved_up);
    poke(id);
  }
}

void Space::finish(Waiter& waiter, Acquired acquired) {
  Done done = std::exchange(waiter.done, {});
  const bool granted = std::holds_alternative<std::vector<Grant>>(acquired);
  Acquire request = waiter.request;
  leave(waiter, !waiter.asking);
  if (!done(std::move(acquired)) && granted) undo(std::move(request));
}

void Space::cancel(Id id) {
  Waiter* waiter = find(id);
  if (!waiter || !waiter->done) return;
  waiter->done.reset();
  if (!waiter->asking && waiter->request.intent.count() > 0) undo(waiter->request);  // it keeps readers out for nobody
  leave(*waiter, !waiter->asking);
}

// It may be his turn: asks, unless someone stands before him.
void Space::poke(Id id) {
  Waiter* waiter = find(id);
  if (!waiter || !queue_.is_front(id, waiter->request.names)) return;
  if (waiter->asking)
    waiter->again = true;
  else
    ask(*waiter);
}

void Space::release(Lease lease, UniqueFunction<void(Change)> done) {
  const std::string name = lease.name;
  const Id first = queue_.front(name);
  store_->release(std::move(lease), [this, alive = std::weak_ptr<bool>(alive_), name, first, done = std::move(done)](Change change) mutable {
    if (alive.expired()) return;
    done(std::move(change));
    if (queue_.front(name) == first) wake(name);  // else he was served by the attempt below
  });
  // A store that works in order sees the release first and the next holder's request behind it: one commit for both.
  poke(first);
}

void Space::force_release(std::string name, UniqueFunction<void(Listing)> done) {
  store_->force_release(name, [this, alive = std::weak_ptr<bool>(alive_), name, done = std::move(done)](Listing listing) mutable {
    if (alive.expired()) return;
    done(std::move(listing));
    wake(name);
  });
}

void Space::undo(Acquire request) {
  if (undos_.size() >= limits_.undos) return;
  undos_.emplace(++last_undo_, std::make_unique<Undo>(home_, std::move(request)));
  try_undo(last_undo_);
}

void Space::try_undo(std::uint64_t id) {
  store_->undo(undos_.at(id)->request, [this, alive = std::weak_ptr<bool>(alive_), id](Change change) {
    if (alive.expired()) return;
    Undo& undo = *undos_.at(id);
    const auto* kept = std::get_if<Kept>(&change);
    if ((kept && kept->ok) || BootClock::now() >= undo.until) {
      const auto names = undo.request.names;
      undos_.erase(id);
      for (const std::string& name : names) wake(name);
      return;
    }
    undo.timer.start(undo.pause, [this, id] { try_undo(id); });
    undo.pause = std::min(undo.pause * 2, kLongestPause);
  });
}

}  // namespace sluice::lock
