#pragma once
// What the masters of a Redlock say, counted: pure decisions on plain data, no sockets and no clocks.
//
// A master that is known to be silent is asked like the others, and nobody waits for it, unless nothing can be decided without.

#include <optional>

#include "handlers/lock/lease_store.h"

namespace sluice::lock {

// How many of so many masters must agree, so that no more than `slots` can hold a lock: a majority for exclusive and for shared
// locks. Of counted locks each master lets several in, and holders may meet at different masters: then it takes more.
std::size_t needed(std::size_t masters, std::int64_t slots);

// What a master granted of one name.
struct GrantVote {
  Token token = 0;
  std::int64_t count = 1;
  milliseconds left{0};
  bool existed = false;  // the owner held it there already
  Token before = 0;      // the last token that the master had granted of the name
  Token ended = 0;       // the highest one that it was told is given back
};

// What a master said to an acquire, or to being told the token it is to keep.
struct Vote {
  enum class Kind : std::uint8_t { none, silent, granted, held, absent };  // none and silent: no answer yet; absent: none that counts
  Kind kind = Kind::none;
  std::vector<GrantVote> grants{};  // of granted: one for each name
  Held held{};                      // of held
};

struct Agreed {
  Token token = 0;
  std::int64_t count = 1;
  milliseconds left{0};    // for so long enough masters keep it
  bool goes_on = false;    // a lease that was held already, with the token that it had
};

struct Verdict {
  enum class Kind : std::uint8_t {
    undecided,
    granted,
    unsettled,    // enough granted, and must first be told the token and count that it comes to
    contested,    // neither got enough: it goes to whoever asks again first
    held,
    unavailable,  // too few masters said anything
  };
  Kind kind = Kind::undecided;
  std::vector<Agreed> leases{};  // of granted and unsettled: one for each name
  Held held{};                   // of held and contested
};
// `slots`: how many may hold the lock together.
Verdict count_votes(const std::vector<Vote>& votes, std::size_t needed, std::int64_t slots);

// Of release and renew. Nothing: undecided.
struct KeptVote {
  enum class Kind : std::uint8_t { none, silent, kept, absent };
  Kind kind = Kind::none;
  Kept kept{};
  std::int64_t slots = 0;  // of a lease that is held: its mode
  bool may_have = false;   // of absent: it may have happened there
};
struct Keeping {
  enum class Kind : std::uint8_t { undecided, kept, unavailable, unknown };
  Kind kind = Kind::undecided;
  Kept kept{};  // without `until`
};
Keeping count_kept(const std::vector<KeptVote>& votes);

// Of looks at one lock by as many of `masters` as answered: who holds it at enough of them, or may, as far as those tell.
Lock merge(std::string name, std::size_t masters, const std::vector<Lock>& looks);

}  // namespace sluice::lock
