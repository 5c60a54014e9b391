#pragma once
// FairQueue: what waits, by party. Each party's entries keep their order, and the parties are served in turn, one entry each: one
// with a thousand entries holds up one with a single entry for no longer than its turn. Not for several threads at once.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

namespace sluice {

template <class T>
class FairQueue {
 public:
  using Party = std::uint64_t;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t parties() const noexcept { return lines_.size(); }
  std::size_t size(Party party) const noexcept {
    const auto line = lines_.find(party);
    return line == lines_.end() ? 0 : line->second.entries.size();
  }

  void push(Party party, T entry) {
    std::list<T> one;
    one.push_back(std::move(entry));
    auto line = lines_.find(party);
    if (line == lines_.end()) {
      line = open(party);
      try {
        turns_.push_back(party);
      } catch (...) {
        lines_.erase(line);
        throw;
      }
      line->second.turn = std::prev(turns_.end());
    }
    line->second.entries.splice(line->second.entries.end(), one);
    ++size_;
  }

  // The next one, whose party then goes to the end of the turns. Not of an empty queue.
  T& front() { return lines_.find(turns_.front())->second.entries.front(); }
  T pop() {
    const auto line = lines_.find(turns_.front());
    turns_.splice(turns_.end(), turns_, turns_.begin());
    return remove(line, line->second.entries.begin());
  }

  // The first, party by party, that is wanted; the turns stay as they are.
  template <class Wanted>
  std::optional<T> take_first(Wanted wanted) {
    for (const Party party : turns_) {
      const auto line = lines_.find(party);
      auto& entries = line->second.entries;
      for (auto at = entries.begin(); at != entries.end(); ++at)
        if (wanted(*at)) return remove(line, at);
    }
    return std::nullopt;
  }

  // All that are wanted, each party's in their order; the turns stay as they are.
  template <class Wanted>
  std::vector<T> take_all(Wanted wanted) {
    std::vector<T> taken;
    for (auto party = turns_.begin(); party != turns_.end();) {
      const auto line = lines_.find(*party++);  // which remove() takes out with its last entry
      auto& entries = line->second.entries;
      for (auto at = entries.begin(); at != entries.end();) {
        const auto next = std::next(at);
        const bool last = next == entries.end();
        if (wanted(*at)) taken.push_back(remove(line, at));
        if (last) break;
        at = next;
      }
    }
    return taken;
  }

  // How many are served before another entry of that party would be, if nobody else comes.
  std::size_t ahead(Party party) const noexcept {
    const std::size_t own = size(party);
    if (own == 0) return lines_.size();
    std::size_t all = 0;
    for (const auto& [other, line] : lines_) all += std::min(line.entries.size(), other == party ? own : own + 1);
    return all;
  }

 private:
  struct Line {
    std::list<T> entries;
    typename std::list<Party>::iterator turn;
  };
  using Lines = std::unordered_map<Party, Line>;
  static constexpr std::size_t kSpare = 256;  // nodes kept for the parties that come next

  typename Lines::iterator open(Party party) {
    if (spare_.empty()) return lines_.try_emplace(party).first;
    auto node = std::move(spare_.back());
    spare_.pop_back();
    node.key() = party;
    return lines_.insert(std::move(node)).position;
  }

  T remove(typename Lines::iterator line, typename std::list<T>::iterator at) {
    auto& entries = line->second.entries;
    T entry = std::move(*at);
    entries.erase(at);
    --size_;
    if (entries.empty()) {
      turns_.erase(line->second.turn);
      if (spare_.size() < kSpare)
        spare_.push_back(lines_.extract(line));
      else
        lines_.erase(line);
    }
    return entry;
  }

  Lines lines_;             // none of them empty
  std::list<Party> turns_;  // whose it is, in order
  std::vector<typename Lines::node_type> spare_;
  std::size_t size_ = 0;
};

}  // namespace sluice
