#pragma once
// The one optional struct that sql methods take: {"after": token, "tx": handle, ...}.

#include "handlers/sql/backend.h"

namespace sluice::sql {

// Throws Fault (bad_arguments) for a name that is not known, with the nearest one that is, and for a value that does not fit.
Options read_options(const std::string& method, const Value::Struct& given);
void refuse_guards(const std::string& method, const Options&);  // throws Fault (bad_arguments): of a method that does not write

}  // namespace sluice::sql
