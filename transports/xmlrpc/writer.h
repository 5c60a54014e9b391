#pragma once
// Writer: values become an XML-RPC document, appended to a string in one pass. Every document that is written is
// well-formed: what XML cannot carry is a Fault, never broken text.

#include <string>

#include "rpc/fault.h"
#include "rpc/value.h"

namespace sluice::xmlrpc {

// Append to `out`. Throw Fault (and leave `out` as it was): invalid_character for text that XML cannot carry, bad_arguments
// for integers beyond 2^63-1, times outside of the years 1 to 9999 and msgpack extensions, too_large for a document of more than `most` bytes or too deep. The
// message names the place in the value: result["rows"][3][1].
void write_response(const Value&, std::size_t most, std::string& out);
void write_call(std::string_view method, const Value::Array& params, std::size_t most, std::string& out);

// How many bytes write_response() takes for the value alone. Throws what it would throw.
std::size_t weigh(const Value&, std::size_t most);

// For people: what XML cannot carry becomes '?', rather than a second fault.
std::string printable(std::string_view text);

// Never throws. A fault without a text says its name.
void write_fault(const Fault&, std::string& out) noexcept;

}  // namespace sluice::xmlrpc
