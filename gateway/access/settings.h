#pragma once
// What can be configured of access: [access] and each [role.NAME].

#include <map>

#include "gateway/access/role.h"

namespace sluice::access {

struct Settings {
  std::string users;                     // the file of `sluice user`; empty: nobody is asked who he is
  std::string audit;                     // file of the audit log, "-" for standard error; empty: none
  std::vector<std::string> anonymous;    // roles of callers who show nothing; none: they are refused
  std::int64_t login_cached_ms = 60'000; // how long a password that was right is not hashed again
  std::int64_t logins_waiting = 32;      // passwords that wait to be hashed; more are refused for a moment
  std::map<std::string, Role> roles;
};

}  // namespace sluice::access
