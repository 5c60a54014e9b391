// PgLink: statements that are kept at the server.

#include "handlers/sql/postgres/link.h"

namespace sluice::sql::postgres {

// Nothing when the text has no name at the server.
PgLink::NamedPtr PgLink::find(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  names_.splice(names_.begin(), names_, found->second);
  return names_.front();
}

// A text is worth a name when it comes a second time.
PgLink::NamedPtr PgLink::when_hot(std::string_view key) {
  if (NamedPtr known = find(key)) return known;
  if (once_.size() >= kPrepared * 4) once_.clear();
  return once_.insert(std::hash<std::string_view>()(key)).second ? nullptr : name(key);
}

PgLink::NamedPtr PgLink::name(std::string_view key) {
  if (names_.size() >= kPrepared) forget(*names_.back());
  names_.push_front(std::make_shared<Named>(Named{std::string(key), "s" + std::to_string(next_name_++)}));
  by_key_.emplace(names_.front()->key, names_.begin());
  return names_.front();
}

void PgLink::forget(const Named& named) {
  const auto found = by_key_.find(named.key);
  if (found == by_key_.end() || found->second->get() != &named) return;
  if (named.sent) {
    // With a Sync of its own: within an aborted group it would not be run.
    if (group_open_) sync(nullptr);
    const std::string text = "DEALLOCATE " + named.name;
    PQsendQueryParams(connection_, text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
    expect(Expected::Kind::control, nullptr);
    sync(nullptr);
  }
  const auto entry = found->second;
  by_key_.erase(found);
  names_.erase(entry);
}

}  // namespace sluice::sql::postgres
