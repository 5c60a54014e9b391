#pragma once
// Watch: stands in front of one call's Reply: its limits of time, rows and bytes, its place among those in flight, and its line in
// the audit log. A call that answers with a stream lasts until the stream ends. Lives on the call's loop.

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "gateway/access/journal.h"
#include "gateway/access/user.h"

namespace sluice::access {

class Watch;

// The watched calls that were answered with a stream which has not ended. A stream may last for hours: a reload ends those whose callers
// have no more right to them. From any thread; outlives the calls.
class OpenStreams {
 public:
  // What ends the stream of this user by this method; nullopt: nothing does.
  using Judge = std::function<std::optional<Fault>(const User&, const Method&)>;
  explicit OpenStreams(Judge judge) : judge_(std::move(judge)) {}

  void judge_all();  // each on its loop, soon

 private:
  friend class Metered;
  void add(const std::shared_ptr<Watch>&);  // and judges it at once: a reload may have come since its call was admitted
  void remove(const Watch&);
  void judge(std::weak_ptr<Watch>) const;  // on its loop

  const Judge judge_;
  std::mutex mutex_;
  std::unordered_map<const Watch*, std::pair<Loop*, std::weak_ptr<Watch>>> open_;
};

struct Watched {
  std::shared_ptr<const User> user;
  const Method& method;  // the dispatcher's
  std::string_view transport;
  std::string arguments;  // their hash, for the audit log
  bool writes = false;    // by its signature; an answer with a token was a write too
};

// The Reply to run the call with. `journal` may be nullptr; both outlive the call.
Reply watch(Reply outer, Watched, Journal* journal, OpenStreams&);

// A line of the audit log. `more` is empty, or ",\"key\":value".
std::string audit_line(std::string_view user, std::string_view method, std::string_view transport, std::string_view outcome, std::string_view more);

}  // namespace sluice::access
