#pragma once
// Values between calls and PostgreSQL: parameters with the type that they are sent as, and columns by their type. In the text format,
// octets apart: it is what every type has. Type numbers: PostgreSQL 15, src/include/catalog/pg_type.dat.

#include <cstdint>
#include <string>
#include <string_view>

#include "rpc/value.h"

namespace sluice::sql::postgres {

using Oid = std::uint32_t;

struct Parameter {
  Oid type = 0;        // 0: the server infers it from where it stands
  bool null = false;
  bool binary = false;
  std::string text;
};

// Integers are int4 or int8, texts are left to the server, a struct is JSON, an array an array literal. Throws Fault (bad_arguments) for
// what PostgreSQL cannot hold: a text with a NUL.
Parameter encode(const Value&);

// numeric, dates, times, intervals, JSON and UUIDs are texts as PostgreSQL writes them; timestamps are UTC; arrays are arrays. A text that
// the type's form does not fit ("infinity") stays a text.
Value decode(Oid type, std::string_view text);

}  // namespace sluice::sql::postgres
