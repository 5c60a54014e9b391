#include "handlers/id/local/store.h"

#include <algorithm>
#include <sstream>

#include "handlers/id/file_identity.h"
#include "handlers/id/local/one_name.h"

namespace sluice::id {
namespace {

Fault nothing_but_marks(std::string_view what) {
  return Fault(Fault::Kind::unavailable,
               std::string(what) +
                   " needs a store that gateways share, and id.backend = \"worker:N\" keeps nothing but the mark of a worker id; "
                   "set id.backend to sqlite, database:NAME, redis://... or zookeeper://...");
}

}  // namespace

std::string no_such_worker(std::int64_t worker, const std::string& space, const std::string& layout, std::int64_t workers) {
  return "worker id " + std::to_string(worker) + " is none of the space '" + space + "' (" + layout + "): those are 0 to " + std::to_string(workers - 1);
}

LocalStore::LocalStore(Loop& home, Options options) : options_(std::move(options)), file_(home, options_.file, "sluice-worker-1"), top_(home, options_.file + "-marks", HighMark::Sharing::shared), identity_(identity_of(options_.file)) {
  refuse_other_names(options_.file);
  if (!file_.found().empty()) read(file_.found());
  // An older copy was written over it, or it was lost.
  if (changes_ < top_.point().changes) floor_ms_ = std::max(floor_ms_, top_.point().mark_ms);
  changes_ = std::max(changes_, top_.point().changes);
}

void LocalStore::read(const std::string& text) {
  std::istringstream in(text);
  std::string original, name;
  in >> original;
  if (original != identity_ && !options_.accept_copy) throw copied(options_.file, original, identity_);
  // A worker id that is new here begins above all that the old one gave: more than it needs, and never less.
  std::string rest;
  std::int64_t worker = 0;
  std::getline(in, rest);
  std::istringstream(rest) >> worker >> changes_ >> floor_ms_;
  Space space;
  while (in >> name >> space.epoch >> space.mark_ms && std::getline(in >> std::ws, space.layout)) spaces_[name] = space;
}

std::string LocalStore::content() const {
  std::string text = " " + identity_ + " " + std::to_string(options_.worker) + " " + std::to_string(changes_) + " " + std::to_string(floor_ms_) + "\n";
  for (const auto& [name, space] : spaces_)
    text += name + " " + std::to_string(space.epoch) + " " + std::to_string(space.mark_ms) + " " + space.layout + "\n";
  return text;
}

// Answers when the file says so, and the one beside it that it did.
template <class Outcome>
void LocalStore::keep(std::int64_t mark_ms, Outcome outcome, UniqueFunction<void(Outcome)> done) {
  const HighMark::Point point{mark_ms, ++changes_};
  file_.keep([this] { return content(); }, [this, point, outcome = std::move(outcome), done = std::move(done)](const Fault* fault) mutable {
    if (fault) return done(*fault);
    top_.raise(point);
    top_.keep(std::move(outcome), std::move(done));
  });
}

void LocalStore::claim(Claim claim, UniqueFunction<void(Claimed)> done) {
  if (options_.worker >= claim.workers)
    return done(Fault(Fault::Kind::conflict, "id.backend: " + no_such_worker(options_.worker, claim.space, claim.layout, claim.workers)));
  Space& space = spaces_[claim.space];
  if (space.layout.empty()) space.layout = claim.layout;
  if (space.layout != claim.layout) return done(another_layout(claim, space.layout));
  const std::int64_t start = std::max({claim.floor_ms, space.mark_ms, floor_ms_});
  space.mark_ms = start + claim.window_ms;
  space.instance = claim.instance;
  keep(space.mark_ms, Claimed(Tenure{options_.worker, ++space.epoch, start, space.mark_ms}), std::move(done));
}

LocalStore::Space* LocalStore::mine(const Extend& extend) {
  const auto found = spaces_.find(extend.space);
  const bool is = found != spaces_.end() && found->second.instance == extend.instance && found->second.epoch == extend.epoch &&
                  extend.worker == options_.worker;
  return is ? &found->second : nullptr;
}

void LocalStore::extend(Extend extend, UniqueFunction<void(Extended)> done) {
  Space* space = mine(extend);
  if (!space) return done(Kept{false});
  space->mark_ms = std::max(space->mark_ms, extend.mark_ms);
  keep(space->mark_ms, Extended(Kept{true}), std::move(done));
}

void LocalStore::release(Extend extend, UniqueFunction<void(Extended)> done) {
  Space* space = mine(extend);
  if (!space) return done(Kept{false});
  space->mark_ms = std::min(space->mark_ms, extend.mark_ms);
  space->instance.clear();
  keep(space->mark_ms, Extended(Kept{true}), std::move(done));
}

void LocalStore::create(Tag, UniqueFunction<void(Creation)> done) { done(nothing_but_marks("id.create()")); }
void LocalStore::reserve(std::string, std::int64_t, UniqueFunction<void(Reserved)> done) { done(nothing_but_marks("id.segment()")); }
void LocalStore::sequence(std::string, UniqueFunction<void(Number)> done) { done(nothing_but_marks("id.sequence()")); }

}  // namespace sluice::id
