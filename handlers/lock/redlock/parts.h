#pragma once
// What the parts of RedlockStore share: a master and what is owed to it, and how answers are read.

#include <algorithm>

#include "handlers/lock/redis/answers.h"
#include "handlers/lock/redlock/store.h"

namespace sluice::lock {

using redis::Answer;
using redis::Words;

inline constexpr milliseconds kRemembersUndone{60'000};
inline constexpr milliseconds kKeeping{500};  // for a release, a renewal or a look: nobody else waits for those
inline constexpr milliseconds kSilent{20};    // of a look: for a master that did not answer before
inline constexpr int kRounds = 3;             // of telling masters a token

// A text of lines, as masters tell entries.
inline Entries lines_of(const Value& value) {
  const std::string& all = text(value);
  Entries lines;
  for (std::size_t from = 0, to = 0; from < all.size(); from = to + 1) {
    to = std::min(all.find('\n', from), all.size());
    if (to > from) lines.push_back(all.substr(from, to - from));
  }
  return lines;
}

inline bool may_have_happened(const Fault& fault) { return fault.kind() == Fault::Kind::outcome_unknown; }

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

template <class V>
std::vector<V> RedlockStore::ballot() const {
  std::vector<V> votes(masters_.size());
  for (std::size_t i = 0; i < masters_.size(); ++i)
    if (masters_[i]->silent) votes[i].kind = V::Kind::silent;
  return votes;
}

}  // namespace sluice::lock
