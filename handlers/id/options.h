#pragma once
// What callers of id methods may say, read and checked: options, ids as text or number, names of tags.

#include <initializer_list>
#include <optional>
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

// `space`: the method has that option. `as`: the words that its option 'as' takes, of text, list (of texts), int, range, uuid and
// ulid; none: it has no such option. Throws Fault (bad_arguments) with the nearest name for another option, and for a value that does
// not fit.
using Words = std::initializer_list<std::string_view>;
Options read_options(const std::string& method, const Value::Struct& given, bool space, Words as = {});

// A decimal string or an int, not negative; nullopt: something else.
std::optional<std::int64_t> maybe_id(const Value& given);
// The same; throws Fault (bad_arguments) for something else. `option` names where it stands; empty: it is the argument.
std::int64_t read_id(const std::string& method, const Value& given, std::string_view option = {});

// 1 to 40 of a-z, 0-9 and _, for they become names of tables and keys.
void check_tag(const std::string& method, const std::string& tag);

Value decimal(std::int64_t number);

}  // namespace sluice::id
