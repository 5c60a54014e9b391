#pragma once
// Listener: a channel of news that a database server sends by itself, on a connection of its own. A part of the backends' interface that
// not every engine has.

#include <memory>
#include <string>

#include "rpc/function.h"
#include "rpc/loop.h"

namespace sluice::sql {

class Listener {
 public:
  // Called on the loop, nothing after the Listener is destroyed, which happens there or when it has ended.
  struct Events {
    UniqueFunction<void(bool)> listening;     // true: from now on nothing is missed; false: until the next true, anything may be
    UniqueFunction<void(std::string)> heard;  // the text that was sent; once too often does no harm
  };
  virtual ~Listener() = default;
  // Once. Goes on for ever: when the connection is lost, or its server is the primary no more, another is made.
  virtual void start(std::string channel, Loop&, Events) = 0;
};

}  // namespace sluice::sql
