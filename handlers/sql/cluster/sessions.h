#pragma once
// Sessions: what was last written under each session's name, so that its readers need no tokens. Bounded: the longest unused go first.

#include <list>
#include <string>
#include <unordered_map>

#include "handlers/sql/position.h"

namespace sluice::sql::cluster {

class Sessions {
 public:
  explicit Sessions(std::size_t most) : most_(most) {}

  const Position* find(const std::string& name) {
    auto found = by_name_.find(name);
    if (found == by_name_.end()) return nullptr;
    used_.splice(used_.begin(), used_, found->second);
    return &found->second->at;
  }

  // Another history (a failover, another system) replaces: judging the old position is for tokens that callers hold.
  void wrote(const std::string& name, const Position& at) {
    if (auto found = by_name_.find(name); found != by_name_.end()) {
      raise(found->second->at, at);
      used_.splice(used_.begin(), used_, found->second);
      return;
    }
    if (used_.size() >= most_) {
      by_name_.erase(used_.back().name);
      used_.pop_back();
    }
    used_.push_front({name, at});
    by_name_.emplace(name, used_.begin());
  }

  void forget(const std::string& name) {
    auto found = by_name_.find(name);
    if (found == by_name_.end()) return;
    used_.erase(found->second);
    by_name_.erase(found);
  }

 private:
  struct Session {
    std::string name;
    Position at;
  };
  std::size_t most_;
  std::list<Session> used_;  // the last used in front
  std::unordered_map<std::string, std::list<Session>::iterator> by_name_;
};

}  // namespace sluice::sql::cluster
