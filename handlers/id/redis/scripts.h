#pragma once
// The Lua scripts by which a Redis server keeps what gateways agree on about ids: each is one atomic operation, made by redis::guarded().
//
// Keys: the server's hash (see redis::Guard), with top (the highest mark that was ever told of), floor (no worker begins below) and floored
// (for which epoch of the data that was laid down); a hash for each space with layout, w<worker> (packed: epoch, data, mark, expires,
// instance, gateway, start) and g<gateway> (its mark); a hash for each tag (next, step, delta, data), sequence (last, data) and stamp
// (second, count, data). `data` is the epoch of the server's data at that time: what is of an earlier one may be older than what was
// acknowledged, so it is a lower bound and nothing else. Numbers that may exceed 2^53 are never Lua's.
//
// Answers begin with a word: lost (other data: nothing was done), closed (and for how long), forgotten (and how far it is known to have
// gone, or ''), or the outcome's own.

#include "handlers/redis/script.h"

namespace sluice::id {

struct Scripts {
  redis::Script raise;     // keys: server; id top
  redis::Script claim;     // keys: server, space; id layout gateway instance workers floor window lease
  redis::Script extend;    // keys: server, space; id gateway instance worker epoch mark lease
  redis::Script release;   // keys: server, space; id gateway instance worker epoch mark
  redis::Script create;    // keys: server, tag; id start step delta anew
  redis::Script reserve;   // keys: server, tag; id count
  redis::Script sequence;  // keys: server, sequence; id
  redis::Script stamp;     // keys: server, stamp; id
};
const Scripts& scripts();

}  // namespace sluice::id
