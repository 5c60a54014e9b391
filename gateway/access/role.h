#pragma once
// Role: what its holders may call, and how much. [role.NAME] in the configuration.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::access {

struct Role {
  std::vector<std::string> methods{};    // globs over method names: "sql.*", "city.by_?ountry", "*"
  std::vector<std::string> databases{};  // globs over names of databases; none: all
  std::string statements = "named";    // of his own: "named" none, "read" those that change nothing, "write" all
  std::int64_t calls_per_s = 0;        // these and the following: 0: no limit of its own
  std::int64_t in_flight = 0;
  std::int64_t answer_rows = 0;
  std::int64_t answer_bytes = 0;
  std::int64_t call_ms = 0;
};

// What several roles allow together: each right and each limit of the most generous of them.
Role together(const std::vector<const Role*>&);

// '*' stands for any characters, dots too, '?' for one.
bool matches(std::string_view glob, std::string_view name) noexcept;

}  // namespace sluice::access
