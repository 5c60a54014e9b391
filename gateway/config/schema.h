#pragma once
// The schema: one table of every configuration key. The loader, the environment, --print-config and docs/configuration.md all
// go by it.

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gateway/config/settings.h"

namespace sluice::config {

using Setting = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

struct Key {
  std::string_view section, name;
  std::int64_t least, most;  // of a number
  std::string_view help;
  Setting (*get)(const Settings&);
  void (*set)(Settings&, const Setting&);  // of the kind that get() answers

  std::string full() const { return std::string(section) + "." + std::string(name); }
  std::string environment() const;  // SLUICE_SECTION_KEY
};

// A key of every [database.NAME], or of every [role.NAME].
template <class Of>
struct EntryKey {
  std::string_view name;
  std::int64_t least, most;
  std::string_view help;
  Setting (*get)(const Of&);
  void (*set)(Of&, const Setting&);
};
using DatabaseKey = EntryKey<Database>;
using RoleKey = EntryKey<access::Role>;

std::span<const Key> keys();
std::span<const DatabaseKey> database_keys();
std::span<const RoleKey> role_keys();
const Key* find_key(std::string_view section, std::string_view name);

std::string_view kind_name(const Setting&);  // "true or false", "an integer", "a string", "an array of strings"
std::string to_toml(const Setting&);
// The same with *** for each password in a URL: for what people see.
Setting without_passwords(Setting);

}  // namespace sluice::config
