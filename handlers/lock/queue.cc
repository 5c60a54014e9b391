#include "handlers/lock/queue.h"

#include <algorithm>

namespace sluice::lock {

void Queue::add(Id id, const std::vector<std::string>& names) {
  for (const std::string& name : names) lines_[name].push_back(id);
}

std::vector<Queue::Id> Queue::remove(Id id, const std::vector<std::string>& names) {
  std::vector<Id> moved_up;
  for (const std::string& name : names) {
    auto line = lines_.find(name);
    if (line == lines_.end()) continue;
    const bool was_front = line->second.front() == id;
    std::erase(line->second, id);
    if (line->second.empty())
      lines_.erase(line);
    else if (was_front && std::ranges::find(moved_up, line->second.front()) == moved_up.end())
      moved_up.push_back(line->second.front());
  }
  return moved_up;
}

bool Queue::is_front(Id id, const std::vector<std::string>& names) const {
  return std::ranges::all_of(names, [&](const std::string& name) { return front(name) == id; });
}

Queue::Id Queue::front(const std::string& name) const {
  const auto line = lines_.find(name);
  return line == lines_.end() ? 0 : line->second.front();
}

std::size_t Queue::waiting(const std::string& name) const {
  const auto line = lines_.find(name);
  return line == lines_.end() ? 0 : line->second.size();
}

bool Queue::any_waits(const std::vector<std::string>& names) const {
  return std::ranges::any_of(names, [&](const std::string& name) { return lines_.contains(name); });
}

}  // namespace sluice::lock
