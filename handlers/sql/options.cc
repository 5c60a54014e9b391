#include "handlers/sql/options.h"

#include <algorithm>
#include <array>

#include "rpc/convert.h"
#include "rpc/nearest.h"

namespace sluice::sql {
namespace {

constexpr std::array<std::string_view, 5> kNames{"after", "level", "max_lag_ms", "timeout_ms", "tx"};
constexpr std::array<std::string_view, 5> kLevels{"any", "bounded", "after", "latest", "primary"};  // in the order of Level

template <class T>
T taken(const std::string& method, const std::string& name, const Value& value) {
  T out{};
  if (!Wire<T>::take(Value(value), out))
    throw Fault(Fault::Kind::bad_arguments, method + "() option '" + name + "' must be " + std::string(Wire<T>::name) + ", not " + describe(value));
  return out;
}

}  // namespace

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
  bool level_given = false;
  for (const auto& [name, value] : given) {
    if (value.is_nil()) continue;  // Python's None: as if it were not there
    if (name == "after") {
      options.after = taken<std::string>(method, name, value);
      if (!level_given) options.level = Level::after;
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
                                                  (close.empty() ? "; it takes after, level, max_lag_ms, timeout_ms and tx" : "; did you mean '" + std::string(close) + "'?"));
    }
  }
  if (options.level == Level::after && options.after.empty())
    throw Fault(Fault::Kind::bad_arguments, method + "() with level 'after' needs the option 'after': the token of a write's answer");
  return options;
}

}  // namespace sluice::sql
