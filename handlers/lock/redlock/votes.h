#pragma once
// What the masters of a Redlock say, counted: pure decisions on plain data, no sockets and no clocks.
//
// A master that is known to be silent is asked like the others, and nobody waits for it, unless nothing can be decided without.

#include <optional>
#include <string>
#include <vector>

#include "handlers/lock/lease_store.h"

namespace sluice::lock {

// How many of so many masters must agree, so that no more than `slots` can hold a lock: a majority for exclusive and for shared
// locks. Of counted locks each master lets several in, and holders may meet at different masters: then it takes more.
std::size_t needed(std::size_t masters, std::int64_t slots);

// An owner's lease is a set of entries, one for each acquire, each with a name of its own.
using Entries = std::vector<std::string>;

// What a master granted of one name.
struct GrantVote {
  Token token = 0;
  milliseconds left{0};
  bool existed = false;  // the owner held it there already
  bool again = false;    // ... by this very request
  Token before = 0;      // the last token that the master had granted of the name
  Token ended = 0;       // of the leases that were given back there the highest token
  Entries others{};      // of the owner, beside this one
  Entries gone{};        // that were given back there, the last few
};

// What a master said to an acquire, or to being told the token it is to keep.
struct Vote {
  // None and silent: no answer yet. Late: one that was asked for later was given back there. Absent: no answer that counts.
  enum class Kind : std::uint8_t { none, silent, granted, held, late, absent };
  Kind kind = Kind::none;
  std::vector<GrantVote> grants{};  // of granted: one for each name
  Held held{};                      // of held
};

struct Agreed {
  Token token = 0;
  std::int64_t count = 1;  // of entries, with those that may be
  milliseconds left{0};    // for so long enough masters keep it
  bool goes_on = false;    // a lease that was held already, with the token that it had
};

struct Verdict {
  enum class Kind : std::uint8_t {
    undecided,
    granted,
    unsettled,    // enough granted, and must first be told the token that it comes to
    contested,    // neither got enough: it goes to whoever asks again first
    held,
    outrun,       // enough would have granted it, had it been asked for later
    unavailable,  // too few masters said anything
  };
  Kind kind = Kind::undecided;
  std::vector<Agreed> leases{};  // of granted and unsettled: one for each name
  Held held{};                   // of held and contested
};
// `slots`: how many may hold the lock together.
Verdict count_votes(const std::vector<Vote>& votes, std::size_t needed, std::int64_t slots);

// Of a release, a renewal or an undo.
struct KeptVote {
  enum class Kind : std::uint8_t { none, silent, kept, absent };
  Kind kind = Kind::none;
  Kept kept{};
  std::int64_t slots = 0;  // of a lease that is held: its mode
  bool may_have = false;   // of absent: it may have happened there
  Entries left{}, gone{};  // of a release that named an entry: gone before
  std::string taken{};     // of a release: the entry that it took out there
};
struct Keeping {
  enum class Kind : std::uint8_t {
    undecided,
    kept,
    another,  // of a release: enough keep the lease, and must be told which entry is given back
    unavailable,
    unknown,
  };
  Kind kind = Kind::undecided;
  Kept kept{};          // without `until`
  std::string entry{};  // of a release: the one that was given back, or is to be
  Entries certain{};    // that enough have
};
Keeping count_kept(const std::vector<KeptVote>& votes);
// `named`: what all were told to take out; empty: each took out the entry that began the lease, if it has that. `taken`: how many
// masters took the named one out when they were asked before.
Keeping count_released(const std::vector<KeptVote>& votes, const std::string& named, std::size_t taken);

// What one master knows of a lock.
struct Seen {
  std::string name;
  Token newest = 0;
  std::vector<std::pair<Holder, Entries>> holders;
  Entries gone{};
};

// Of looks at one lock by as many of `masters` as answered: who holds it at enough of them, or may, as far as those tell.
Lock merge(std::string name, std::size_t masters, const std::vector<Seen>& looks);

}  // namespace sluice::lock
