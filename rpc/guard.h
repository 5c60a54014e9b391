#pragma once
// Guard: stands before every call that the dispatcher runs, those inside a multicall too. One at most; without it nobody is
// asked who he is, and a call pays one branch.

#include "rpc/method.h"

namespace sluice {

class Guard {
 public:
  virtual ~Guard() = default;
  // On the call's loop. Answers the Reply to run the call with: the one given, or one of its own in front of it that sees the
  // outcome; an empty one after it has answered with why not. reply.principal() may be nullptr: then nobody vouched for him.
  virtual Reply admit(const Method&, const Call&, Reply) = 0;
  // `method` was called and is not served, which its caller is told next. From the loop of any call; the principal may be nullptr.
  virtual void missed(std::string_view method, std::string_view transport, const Principal*) = 0;
};

}  // namespace sluice
