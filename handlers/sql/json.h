#pragma once
// A Value as JSON text, for databases that keep documents.

#include <string>

#include "rpc/value.h"

namespace sluice::sql {

// Times are texts, "2026-01-31 23:59:59.123456" in UTC. Throws Fault (bad_arguments) for what JSON cannot say: octets, infinities, extensions,
// more than 64 arrays and structs within each other.
std::string to_json(const Value&);

std::string write_time(DateTime);  // "2026-01-31 23:59:59.123456"

}  // namespace sluice::sql
