#pragma once
// Subscriber: a connection of its own on which Redis tells of channels. Whoever listens is called for each message, when the
// subscription begins, and when it began anew after a loss: something may have been said meanwhile. On one loop.

#include <map>
#include <memory>

#include "handlers/redis/link.h"

namespace sluice::redis {

class Subscriber {
 public:
  // Until it is destroyed, which `heard` may do. Does not outlive the Subscriber.
  class Listening {
   public:
    Listening(Subscriber& subscriber, std::string channel, UniqueFunction<void()> heard);
    ~Listening();

   private:
    friend class Subscriber;
    Subscriber& subscriber_;
    const std::string channel_;
    UniqueFunction<void()> heard_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  };

  Subscriber(Loop& home, const Address& address);

 private:
  void heard(const Value&);
  void call(const std::string& channel);
  void beat();

  std::multimap<std::string, Listening*> all_;
  bool heard_since_ = true;
  Timer beat_;
  Link link_;
};

}  // namespace sluice::redis
