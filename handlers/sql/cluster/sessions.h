#pragma once
// Sessions: what was last written under each session's name, so that its readers need no tokens. Bounded: the longest unused go first, and
// from then on a name that is not known may be one of them, and reads what any of them wrote.

#include <list>
#include <string>
#include <unordered_map>

#include "handlers/sql/position.h"

namespace sluice::sql::cluster {

class Sessions {
 public:
  explicit Sessions(std::size_t most) : most_(most) {}

  // nullptr: it has written nothing.
  const Position* find(const std::string& name) {
    auto found = by_name_.find(name);
    if (found == by_name_.end()) return gone_.empty() ? nullptr : &gone_;
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
      raise(gone_, used_.back().at);
      by_name_.erase(used_.back().name);
      used_.pop_back();
    }
    used_.push_front({name, at});
    by_name_.emplace(name, used_.begin());
  }

  // What find() told is history no more. false: the name is not known, and that was of those that went.
  bool forget(const std::string& name) {
    auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      gone_ = {};
      return false;
    }
    used_.erase(found->second);
    by_name_.erase(found);
    return true;
  }

 private:
  struct Session {
    std::string name;
    Position at;
  };
  std::size_t most_;
  std::list<Session> used_;  // the last used in front
  std::unordered_map<std::string, std::list<Session>::iterator> by_name_;
  Position gone_;
};

}  // namespace sluice::sql::cluster
