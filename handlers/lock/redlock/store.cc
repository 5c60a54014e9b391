#include "handlers/lock/redlock/store.h"

#include <stdexcept>

#include "handlers/lock/redlock/parts.h"

namespace sluice::lock {
namespace {

constexpr milliseconds kCleanUp{2000};  // nobody waits for it
constexpr std::size_t kMostDebts = 10'000;

}  // namespace

void RedlockStore::check_masters(std::size_t count) {
  if (count < 3 || count % 2 == 0) throw std::runtime_error("redlock:// takes an odd number of masters, three or more, not " + std::to_string(count));
}

RedlockStore::RedlockStore(Loop& home, const std::vector<redis::Address>& masters, Options options) : home_(home), forget_(options.forget) {
  check_masters(masters.size());
  for (const redis::Address& address : masters) {
    Server::Options own{.prefix = "sluice:redlock", .file = options.file + address.label(), .epoch = options.epoch, .link = options.link};
    masters_.push_back(std::make_unique<Master>(home, address, std::move(own)));
  }
  for (std::size_t i = 0; i < masters_.size(); ++i)
    masters_[i]->server.start(voter_scripts().all(), [this, i] { settle_debts(i); });
}

RedlockStore::~RedlockStore() = default;

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

Fault RedlockStore::too_few(Fault::Kind kind, const std::vector<std::string>& why) const {
  std::string text;
  for (const std::string& each : why)
    if (!each.empty()) text += (text.empty() ? "" : "; ") + each;
  return Fault(kind, "too few of the " + std::to_string(masters_.size()) + " Redis masters agree: " + (text.empty() ? "the others did not answer" : text));
}

}  // namespace sluice::lock
