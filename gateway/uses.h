#pragma once
// Uses: what of the settings only shows when they are put to use, but can be told without a port, a server or a database.

#include "gateway/config/load.h"

namespace sluice {

// Adds to loaded.errors, each with its place in the file. Reads the files that are named: users, keys, statements.
void check_uses(config::Loaded&);

}  // namespace sluice
