#pragma once
// What callers of id methods may say, read and checked: options, ids as text or number, names of tags.

#include <string>
#include <string_view>

#include "rpc/fault.h"

namespace sluice::id {

// How ids go to the caller. Text by default: Python's xmlrpc.client sends no more than 32 bits, JavaScript holds no more than 53.
enum class As : std::uint8_t { text, integer, range, ulid };

struct Options {
  std::string space;  // "" for the first one
  As as = As::text;
};

inline constexpr unsigned kSpace = 1, kAs = 2;
// `known` is a sum of the above: the options that this method has. Throws Fault (bad_arguments) with the nearest name for
// another, and for a value that does not fit.
Options read_options(const std::string& method, const Value::Struct& given, unsigned known);

// A decimal string or an int, not negative.
std::int64_t read_id(const std::string& method, const Value& given);

// 1 to 40 of a-z, 0-9 and _, for they become names of tables and keys.
void check_tag(const std::string& method, const std::string& tag);

Value decimal(std::int64_t number);

}  // namespace sluice::id
