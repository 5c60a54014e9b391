#include "gateway/access/role.h"

#include <algorithm>

namespace sluice::access {
namespace {

int rank(const std::string& statements) { return statements == "write" ? 2 : statements == "read" ? 1 : 0; }

}  // namespace

Role together(const std::vector<const Role*>& roles) {
  Role all;
  bool first = true;
  for (const Role* role : roles) {
    all.methods.insert(all.methods.end(), role->methods.begin(), role->methods.end());
    if (role->databases.empty()) all.databases.push_back("*");
    all.databases.insert(all.databases.end(), role->databases.begin(), role->databases.end());
    if (rank(role->statements) > rank(all.statements)) all.statements = role->statements;
    for (auto limit : {&Role::calls_per_s, &Role::in_flight, &Role::answer_rows, &Role::answer_bytes, &Role::call_ms}) {
      const std::int64_t one = role->*limit;
      all.*limit = first ? one : all.*limit == 0 || one == 0 ? 0 : std::max(all.*limit, one);
    }
    first = false;
  }
  return all;
}

// Goes back to the last '*' alone: never more than glob times name steps.
bool matches(std::string_view glob, std::string_view name) noexcept {
  std::size_t g = 0, n = 0, star = glob.npos, from = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      from = n;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == name[n])) {
      ++g;
      ++n;
    } else if (star != glob.npos) {
      g = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace sluice::access
