// Who holds what, as several masters know it; how a lock is taken from all, and who hears that it became free.

#include <map>

#include "handlers/lock/redlock/parts.h"

namespace sluice::lock {

struct RedlockStore::Looking {
  std::vector<Seen> all;     // of all masters that answered, of all names
  std::size_t answered = 0, left = 0;
  std::vector<std::string> why;
  UniqueFunction<void(std::optional<Fault>, Looking&)> done;
};

namespace {

Seen seen_of(std::string name, const Value& value) {
  const auto& told = array(value);
  Seen seen{std::move(name), token(told[0], told[1]), {}, lines_of(told[3])};
  for (const Value& each : array(told[2])) seen.holders.emplace_back(holder_of(seen.name, each), lines_of(array(each)[7]));
  return seen;
}

}  // namespace

void RedlockStore::look(std::shared_ptr<Looking> looking, std::size_t i, Server::Looks looks) {
  --looking->left;
  masters_[i]->silent = std::holds_alternative<Fault>(looks);
  if (auto* fault = std::get_if<Fault>(&looks)) {
    looking->why[i] = fault->message();
  } else {
    ++looking->answered;
    for (auto& [name, told] : std::get<0>(looks)) looking->all.push_back(seen_of(std::move(name), told));
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
    masters_[i]->server.look(voter_scripts().look, {name}, masters_[i]->silent ? kSilent : kKeeping, [this, looking, i](Server::Looks looks) { look(looking, i, std::move(looks)); });
}

void RedlockStore::list(std::string prefix, std::size_t most, UniqueFunction<void(Listing)> done) {
  auto looking = std::make_shared<Looking>();
  looking->left = masters_.size();
  looking->why.resize(masters_.size());
  looking->done = [this, most, done = std::move(done)](std::optional<Fault> fault, Looking& looking) mutable {
    if (fault) return done(std::move(*fault));
    std::map<std::string, std::vector<Seen>> by_name;
    for (Seen& seen : looking.all) by_name[seen.name].push_back(std::move(seen));
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
    masters_[i]->server.list(voter_scripts().look, prefix, most, masters_[i]->silent ? kSilent : kKeeping, [this, looking, i](Server::Looks looks) { look(looking, i, std::move(looks)); });
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
    const auto same = std::ranges::count(looking.all, lock.newest, &Seen::newest);
    if (static_cast<std::size_t>(same) >= needed(masters_.size(), kExclusive)) return done(std::vector{std::move(lock)});
    if (rounds == 0) return done(too_few(Fault::Kind::outcome_unknown, looking.why));
    force(std::move(name), propose(), std::move(holders), rounds - 1, std::move(done));
  };
  for (std::size_t i = 0; i < masters_.size(); ++i)
    ask(i, voter_scripts().force, keys, arguments, masters_[i]->silent ? kSilent : kKeeping, [this, looking, i, name](Answer answer) {
      if (auto* fault = std::get_if<Fault>(&answer)) return look(looking, i, std::move(*fault));
      look(looking, i, std::vector{std::pair{name, array(std::get<Value>(answer))[1]}});
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