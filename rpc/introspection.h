#pragma once
// Introspection: what a method looks like to each dialect, from the one Signature it has.

#include "rpc/method.h"

namespace sluice {

// Rows of system.methodSignature: each [result, parameter types...]. "number" becomes a row of ints
// and one of doubles; each optional argument that may be left out adds a row.
Value::Array xmlrpc_signatures(const Signature&);

// The shape of Python's inspect: [{"name": n}, {"name": n, "default": nil}...].
Value::Array python_arguments(const Signature&);

// getargspec's: [[names...], nil, nil, [defaults...] or nil].
Value python_argspec(const Signature&);

}  // namespace sluice
