#pragma once
// What a copy of a file does not share with it: worker ids that are kept in a file must not be given by two copies of it.

#include <cstdint>
#include <string>

#include "rpc/fault.h"

namespace sluice::id {

// The file's inode and the instant it was made; "" for one that is not there, or not a file.
std::string identity_of(const std::string& file);

// That `file`, of the identity `own`, says that it was made as `original`.
Fault copied(const std::string& file, const std::string& original, const std::string& own);

// That `file`, which changed `changes` times, is known to have changed `remembered` times.
Fault older(const std::string& file, std::int64_t changes, std::int64_t remembered);

}  // namespace sluice::id
