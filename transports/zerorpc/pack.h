#pragma once
// Value to msgpack, in the forms that zerorpc's clients read: the smallest integers, doubles as float64,
// text as str and octets as bin, a DateTime as the timestamp extension (-1).

#include <string>

#include "rpc/value.h"

namespace sluice::zerorpc {

// Appends. Throws a Fault when the value cannot travel: text that is not UTF-8 (the receiver would
// drop the whole message), or more than `depth` arrays and structs inside one another.
inline constexpr int kPackDepth = 128;
void pack(std::string& out, const Value&, int depth = kPackDepth);

void pack_text(std::string& out, std::string_view text);  // as str; the text is UTF-8

}  // namespace sluice::zerorpc
