#pragma once
// Uses: what of the settings only shows when they are put to use, but can be told without a port, a server or a database. `sluice check`
// and `sluice serve` both go by it, so that the one passes nothing that the other refuses for what stands in its configuration.

#include "gateway/config/load.h"

namespace sluice {

// Adds to loaded.errors, each with its place in the file. Reads the files that are named (users, certificates, keys, secrets, statements)
// and makes none.
void check_uses(config::Loaded&);

}  // namespace sluice
