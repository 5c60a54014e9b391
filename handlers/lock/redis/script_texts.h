#pragma once
// What the scripts of a master that decides alone have in common with those of one of several that vote. A script is kLeases, then the
// functions in which the two differ, then the body:
//   proposal, next_token                            where tokens come from
//   take_back, taken_back, was_left, outrun         which requests come too late
//   begin, enter, leave, ended, retracted           how an owner's entries are counted
//   granted, kept, seen                             what is answered

#include <string>

#include "handlers/redis/script.h"

namespace sluice::lock {

extern const char* const kLeases;
extern const char* const kAcquire;
extern const char* const kUndo;
extern const char* const kRenew;
extern const char* const kForce;
extern const char* const kLook;

redis::Script lease_script(const char* functions, const char* body);

}  // namespace sluice::lock
