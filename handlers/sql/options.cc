#include "handlers/sql/options.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "rpc/convert.h"
#include "rpc/nearest.h"

namespace sluice::sql {
namespace {

constexpr std::array<std::string_view, 9> kNames{"after", "db", "fence", "key", "level", "max_lag_ms", "session", "timeout_ms", "tx"};
constexpr std::size_t kLongestName = 256;  // of keys and sessions, in bytes: they are kept
constexpr std::array<std::string_view, 5> kLevels{"any", "bounded", "after", "latest", "primary"};  // in the order of Level

template <class T>
T taken(const std::string& method, const std::string& name, const Value& value) {
  T out{};
  if (!Wire<T>::take(Value(value), out))
    throw Fault(Fault::Kind::bad_arguments, method + "() option '" + name + "' must be " + std::string(Wire<T>::name) + ", not " + describe(value));
  return out;
}

// {"lock": name, "token": t}: the token as lock.acquire gave it, a decimal string, or as an int.
Fence fence_of(const std::string& method, const Value& given) {
  auto refuse = [&](const std::string& what) { return Fault(Fault::Kind::bad_arguments, method + "() option 'fence' must be {\"lock\": name, \"token\": token}, " + what); };
  const auto* members = given.get_if<Value::Struct>();
  if (!members) throw refuse("not " + describe(given));
  Fence fence;
  for (const auto& [name, value] : *members) {
    if (name == "lock") {
      fence.lock = taken<std::string>(method, "fence.lock", value);
    } else if (name == "token") {
      const auto* text = value.get_if<std::string>();
      const char* end = text ? text->data() + text->size() : nullptr;
      const bool number = text ? std::from_chars(text->data(), end, fence.token).ptr == end : Wire<std::int64_t>::take(Value(value), fence.token);
      if (!number || fence.token <= 0) throw refuse("with the token that lock.acquire gave, not " + describe(value));
    } else {
      throw refuse("without " + describe(Value(name)).substr(7));
    }
  }
  if (fence.lock.empty()) throw refuse("but the lock's name is missing");
  if (fence.token == 0) throw refuse("but the token is missing");
  return fence;
}

}  // namespace

Fault stale(const Fence& fence, std::int64_t seen) {
  return Fault(Fault::Kind::conflict,
               "stale fencing token: " + std::to_string(fence.token) + " was given, " + std::to_string(seen) + " was seen for the lock " + describe(Value(fence.lock)).substr(7) +
                   "; the lease under which this was written is lost",
               {{"lock", fence.lock}, {"given", std::to_string(fence.token)}, {"seen", std::to_string(seen)}});
}

Fault of_statement(std::size_t number, std::size_t all, const Fault& fault) {
  return Fault(fault.kind(), "statement " + std::to_string(number) + " of " + std::to_string(all) + ": " + fault.message(), fault.detail());
}

Fault longer_than(std::chrono::milliseconds longest, std::chrono::milliseconds asked) {
  return Fault(Fault::Kind::bad_arguments, "begin() option 'timeout_ms' must be at most " + std::to_string(longest.count()) + " (sql.transaction_ms), not " + std::to_string(asked.count()));
}

Fault only_reads(const std::string& why) {
  return Fault(Fault::Kind::denied, "the caller may only read, and this is, or may be, a write: " + why + "; an operator can give him a role with statements = \"write\"");
}

void refuse_guards(const std::string& method, const Options& options) {
  if (!options.key.empty()) throw Fault(Fault::Kind::bad_arguments, method + "() takes no option 'key': it is for writes; pass it to sql.execute, sql.batch or a named write");
  if (options.fence) throw Fault(Fault::Kind::bad_arguments, method + "() takes no option 'fence': it guards writes; pass it to sql.execute, sql.batch or a named write");
}

std::string_view name_of(Class kind) noexcept {
  switch (kind) {
    case Class::read: return "read";
    case Class::write: return "write";
    case Class::session: return "session";
    case Class::primary: return "primary";
  }
  return "";
}

Options read_options(const std::string& method, const Value::Struct& given) {
  Options options;
  bool level_given = false, lag_given = false, after_nothing = false;
  for (const auto& [name, value] : given) {
    if (value.is_nil()) continue;  // Python's None: as if it were not there
    if (name == "after") {
      options.after = taken<std::string>(method, name, value);
      after_nothing = options.after.empty();  // the token of a call that wrote nothing
      if (!level_given && !after_nothing) options.level = Level::after;
    } else if (name == "db") {
      options.db = taken<std::string>(method, name, value);
    } else if (name == "key" || name == "session") {
      auto text = taken<std::string>(method, name, value);
      if (text.empty() || text.size() > kLongestName)
        throw Fault(Fault::Kind::bad_arguments, method + "() option '" + name + "' must be a string of 1 to " + std::to_string(kLongestName) + " bytes, not of " + std::to_string(text.size()));
      (name == "key" ? options.key : options.session) = std::move(text);
    } else if (name == "fence") {
      options.fence = fence_of(method, value);
    } else if (name == "level") {
      const auto level = taken<std::string>(method, name, value);
      const auto at = std::ranges::find(kLevels, level);
      if (at == kLevels.end())
        throw Fault(Fault::Kind::bad_arguments, method + "() option 'level' must be any, bounded, after, latest or primary, not " + describe(value));
      options.level = static_cast<Level>(at - kLevels.begin());
      level_given = true;
    } else if (name == "max_lag_ms") {
      options.max_lag_ms = taken<std::int64_t>(method, name, value);
      if (options.max_lag_ms < 0) throw Fault(Fault::Kind::bad_arguments, method + "() option 'max_lag_ms' must not be negative");
      lag_given = true;
      if (!level_given && options.after.empty()) options.level = Level::bounded;
    } else if (name == "timeout_ms") {
      options.timeout_ms = taken<std::int64_t>(method, name, value);
      if (options.timeout_ms <= 0) throw Fault(Fault::Kind::bad_arguments, method + "() option 'timeout_ms' must be more than 0, not " + describe(value));
    } else if (name == "tx") {
      options.tx = taken<std::string>(method, name, value);
      if (options.tx.empty()) throw Fault(Fault::Kind::bad_arguments, method + "() option 'tx' must be a handle of sql.begin, not an empty string");
    } else {
      const auto close = nearest(name, kNames);
      throw Fault(Fault::Kind::bad_arguments, method + "() has no option " + describe(Value(name)).substr(7) +
                                                  (close.empty() ? "; the options of sql's methods are after, db, fence, key, level, max_lag_ms, session, timeout_ms and tx" : "; did you mean '" + std::string(close) + "'?"));
    }
  }
  if (!options.key.empty() && !options.tx.empty())
    throw Fault(Fault::Kind::bad_arguments, method + "() takes 'key' or 'tx', not both: a key's reply is kept in a transaction of its own");
  if (options.level == Level::bounded && !lag_given)
    throw Fault(Fault::Kind::bad_arguments, method + "() with level 'bounded' needs the option 'max_lag_ms': how far behind the primary an answer may be");
  if (options.level == Level::after && after_nothing) options.level = Level::any;
  if (options.level == Level::after && options.after.empty())
    throw Fault(Fault::Kind::bad_arguments, method + "() with level 'after' needs the option 'after': the token of a write's answer");
  return options;
}

}  // namespace sluice::sql
