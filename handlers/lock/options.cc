#include "handlers/lock/options.h"

#include <array>
#include <charconv>

#include "rpc/convert.h"
#include "rpc/nearest.h"
#include "rpc/utf8.h"

namespace sluice::lock {
namespace {

constexpr std::array<std::string_view, 7> kNames{"db", "mode", "owner", "permits", "session", "ttl_ms", "wait_ms"};
constexpr std::int64_t kMostPermits = 1'000'000;

Fault bad(const std::string& method, const std::string& what) { return Fault(Fault::Kind::bad_arguments, method + "() " + what); }

// What every store can keep, and compare byte by byte.
bool is_plain(std::string_view text) { return is_utf8(text) && text.find('\0') == text.npos; }

std::string text_option(const std::string& method, const std::string& name, const Value& value) {
  const auto* text = value.get_if<std::string>();
  if (!text) throw bad(method, "option '" + name + "' must be string, not " + describe(value));
  if (text->empty() || text->size() > kLongestName)
    throw bad(method, "option '" + name + "' must have from 1 to " + std::to_string(kLongestName) + " bytes, not " + std::to_string(text->size()));
  if (!is_plain(*text)) throw bad(method, "option '" + name + "' must be UTF-8 without NUL");
  return *text;
}

std::int64_t number_option(const std::string& method, const std::string& name, const Value& value, std::int64_t least, std::int64_t most) {
  std::int64_t number = 0;
  if (!Wire<std::int64_t>::take(Value(value), number)) throw bad(method, "option '" + name + "' must be int, not " + describe(value));
  if (number < least || number > most) throw bad(method, "option '" + name + "' must be from " + std::to_string(least) + " to " + std::to_string(most) + ", not " + std::to_string(number));
  return number;
}

Token token_of(const std::string& method, const Value& given) {
  Token token = 0;
  const auto* text = given.get_if<std::string>();
  const char* end = text ? text->data() + text->size() : nullptr;
  const bool number = text ? std::from_chars(text->data(), end, token).ptr == end : Wire<std::int64_t>::take(Value(given), token);
  if (!number || token <= 0) throw bad(method, "needs the lease's token as it was given, a decimal string or an int, not " + describe(given));
  return token;
}

const Value& member(const std::string& method, const Value& lease, const char* name) {
  const Value* found = lease.find(name);
  if (!found) throw bad(method, "argument 'lease' must be what lock.acquire answered, but it has no '" + std::string(name) + "'");
  return *found;
}

std::string text_member(const std::string& method, const Value& lease, const char* name) {
  const auto* text = member(method, lease, name).get_if<std::string>();
  if (!text) throw bad(method, "argument 'lease' must have a string as '" + std::string(name) + "', not " + describe(member(method, lease, name)));
  return *text;
}

std::string maybe_text(const Value& lease, const char* name) {
  const Value* found = lease.find(name);
  const auto* text = found ? found->get_if<std::string>() : nullptr;
  return text ? *text : std::string();
}

}  // namespace

milliseconds read_ttl(const std::string& method, const Value& given, const Limits& limits) {
  return milliseconds(number_option(method, "ttl_ms", given, 1, limits.longest_ttl_ms));
}

std::string read_name(const std::string& method, std::string name) {
  if (!is_plain(name)) throw bad(method, "needs a name in UTF-8 without NUL, not " + describe(Value(name)));
  if (name.empty() || name.size() > kLongestName) throw bad(method, "needs a name of 1 to " + std::to_string(kLongestName) + " bytes, not of " + std::to_string(name.size()));
  return name;
}

std::string read_db(const std::string& method, const std::optional<Value::Struct>& given) {
  std::string db;
  if (!given) return db;
  for (const auto& [name, value] : *given) {
    if (value.is_nil()) continue;
    if (name != "db") throw bad(method, "has no option " + describe(Value(name)).substr(7) + "; it takes db");
    db = text_option(method, name, value);
  }
  return db;
}

AcquireOptions read_acquire(const std::string& method, const Value::Struct& given, const Limits& limits, bool waits) {
  AcquireOptions options;
  bool shared = false, counted = false;
  for (const auto& [name, value] : given) {
    if (value.is_nil()) continue;  // Python's None: as if it were not there
    if (name == "owner") {
      options.owner = text_option(method, name, value);
    } else if (name == "session") {
      options.session = text_option(method, name, value);
    } else if (name == "db") {
      options.db = text_option(method, name, value);
    } else if (name == "ttl_ms") {
      options.ttl = read_ttl(method, value, limits);
    } else if (name == "wait_ms") {
      options.wait = milliseconds(number_option(method, name, value, 0, waits ? limits.longest_wait_ms : 0));
    } else if (name == "permits") {
      options.slots = number_option(method, name, value, 1, kMostPermits);
      counted = true;
    } else if (name == "mode") {
      shared = value == Value("shared");
      if (!shared && value != Value("exclusive")) throw bad(method, "option 'mode' must be exclusive or shared, not " + describe(value));
    } else {
      const auto close = nearest(name, kNames);
      throw bad(method, "has no option " + describe(Value(name)).substr(7) +
                            (close.empty() ? "; it takes db, mode, owner, permits, session, ttl_ms and wait_ms" : "; did you mean '" + std::string(close) + "'?"));
    }
  }
  if (shared && counted) throw bad(method, "takes mode 'shared' or permits, not both: a shared lock has room for any number");
  if (shared) options.slots = kShared;
  return options;
}

LeaseArgument read_lease(const std::string& method, Value lease) {
  if (!lease.get_if<Value::Struct>()) throw bad(method, "argument 'lease' must be the struct that lock.acquire answered, or a name, an owner and a token; not " + describe(lease));
  if (const Value* granted = lease.find("granted"); granted && *granted == Value(false)) throw bad(method, "argument 'lease' is a refusal: nothing was granted");
  LeaseArgument argument{maybe_text(lease, "db"), maybe_text(lease, "session"), {}};
  const Value* several = lease.find("leases");
  if (const auto* list = several ? several->get_if<Value::Array>() : nullptr) {
    for (const Value& each : *list) argument.leases.push_back({text_member(method, each, "name"), text_member(method, each, "owner"), token_of(method, member(method, each, "token"))});
    if (list->empty() || list->size() > 1000) throw bad(method, "argument 'lease' must hold from 1 to 1000 leases, not " + std::to_string(list->size()));
  } else {
    argument.leases.push_back({text_member(method, lease, "name"), text_member(method, lease, "owner"), token_of(method, member(method, lease, "token"))});
  }
  return argument;
}

LeaseArgument read_lease(const std::string& method, Value lease, std::optional<Value> owner, std::optional<Value> token) {
  const auto* name = lease.get_if<std::string>();
  if (!name) {
    if (owner || token) throw bad(method, "takes a lease, or a name, an owner and a token; not a lease and more");
    return read_lease(method, std::move(lease));
  }
  const auto* owned = owner ? owner->get_if<std::string>() : nullptr;
  if (!owned || !token) throw bad(method, "with a name also needs its owner and its token");
  return {"", "", {{*name, *owned, token_of(method, *token)}}};
}

}  // namespace sluice::lock
