#pragma once
// Watch: stands in front of one call's Reply: its limits of time, rows and bytes, its place among those in flight, and its line in
// the audit log. A call that answers with a stream lasts until the stream ends. Lives on the call's loop.

#include <memory>

#include "gateway/access/journal.h"
#include "gateway/access/user.h"

namespace sluice::access {

struct Watched {
  std::shared_ptr<const User> user;
  std::string method;
  std::string_view transport;
  std::string arguments;  // their hash, for the audit log
  bool writes = false;    // by its signature; an answer with a token was a write too
};

// The Reply to run the call with. `journal` may be nullptr; it outlives the call.
Reply watch(Reply outer, Watched, Journal* journal);

// A line of the audit log. `more` is empty, or ",\"key\":value".
std::string audit_line(std::string_view user, std::string_view method, std::string_view transport, std::string_view outcome, std::string_view more);

}  // namespace sluice::access
