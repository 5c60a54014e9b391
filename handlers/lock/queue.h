#pragma once
// Queue: who waits for which locks, in the order of arrival. Someone who waits for several stands in the line of each, and may
// ask when he is the first in all of them: whoever came first is, so no two can wait for each other.

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace sluice::lock {

class Queue {
 public:
  using Id = std::uint64_t;

  void add(Id, const std::vector<std::string>& names);  // at the end of each name's line
  // Leaves all lines. Answers those who came to the front of one by that.
  std::vector<Id> remove(Id, const std::vector<std::string>& names);

  bool is_front(Id, const std::vector<std::string>& names) const;
  Id front(const std::string& name) const;  // 0: nobody waits
  std::size_t waiting(const std::string& name) const;
  bool any_waits(const std::vector<std::string>& names) const;

 private:
  std::unordered_map<std::string, std::deque<Id>> lines_;  // none of them empty
};

}  // namespace sluice::lock
