#pragma once
// The scripts of a master that votes with others: those of one that decides alone, and what several must be told.
//
// An owner's lease is a set of entries, one for each acquire: REQUEST:ATTEMPT. Each entry is granted, and given back, by a majority of
// its own, and is known by its name ever after; so a message that comes late, or twice, can take away or bring back no other one. See
// docs/decisions/0004-tokens-of-redlock.md.
//
// A lease is packed as slots, epoch, counter, how many entries, the entries (lines), granted, expires, the name's token before it (epoch,
// counter), 1 if its first entry is the one that began it, the entries that were given back here (lines, the last few), and, if that is
// higher than its own, the highest token that was proposed with an entry (epoch, counter). A lock also has e, of the lease with the
// highest token of those that were given back here: its token, the entries that were given back, the highest token proposed.

#include "handlers/lock/redis/scripts.h"

namespace sluice::lock {

// acquire is told two more arguments, the proposed token (epoch counter), and also answers `late` (and the highest token known): one
// that was proposed later was given back already. Its keys and those of undo name the request, whichever attempt is meant; the nonce of
// undo is REQUEST:ATTEMPT, or REQUEST: for all of them.
struct VoterScripts : Scripts {
  // release takes out the entry that began the lease, which all who keep it know, where that is still there; or the one that a further
  // argument names, with how long to remember it. Then its keys also name the request, as those of acquire do.
  redis::Script settle;   // keys: server, locks; id owner nonce ttl forget, for each lock: epoch counter goes_on
  redis::Script restore;  // keys: server, lock; id owner epoch counter ttl forget slots entries: a lease that others keep and this one does not

  std::vector<const redis::Script*> all() const { return {&acquire, &undo, &release, &renew, &force, &look, &settle, &restore}; }
};
const VoterScripts& voter_scripts();

}  // namespace sluice::lock
