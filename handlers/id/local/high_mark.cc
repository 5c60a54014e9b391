#include "handlers/id/local/high_mark.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

namespace sluice::id {
namespace {

constexpr const char* kFormat = "sluice-marks-1";

HighMark::Point point_in(const std::string& text) {
  HighMark::Point point;
  std::istringstream(text) >> point.mark_ms >> point.changes;
  return point;
}

}  // namespace

HighMark::HighMark(Loop& home, std::string file, Sharing sharing) {
  if (sharing == Sharing::shared)
    open_free(home, file);
  else
    file_ = std::make_unique<KeptFile>(home, std::move(file), kFormat);
  kept_ = point_in(file_->found());
  raise(kept_);
}

// Takes the first file that nobody uses, and looks at all the others.
void HighMark::open_free(Loop& home, const std::string& file) {
  for (int number = 1;; ++number) {
    const std::string name = number == 1 ? file : file + "-" + std::to_string(number);
    if (file_ && !std::filesystem::exists(name)) return;
    if (!file_) {
      try {
        file_ = std::make_unique<KeptFile>(home, name, kFormat);
        continue;
      } catch (const KeptFile::InUse&) {
      }
    }
    raise(point_in(KeptFile::text_of(name, kFormat)));
  }
}

void HighMark::raise(const Point& to) noexcept {
  point_.mark_ms = std::max(point_.mark_ms, to.mark_ms);
  point_.changes = std::max(point_.changes, to.changes);
}

void HighMark::write(KeptFile::Written done) {
  file_->keep([this] { return " " + std::to_string(point_.mark_ms) + " " + std::to_string(point_.changes) + "\n"; },
              [this, point = point_, done = std::move(done)](const Fault* failed) mutable {
                if (!failed) kept_ = {std::max(kept_.mark_ms, point.mark_ms), std::max(kept_.changes, point.changes)};
                done(failed);
              });
}

void HighMark::keep_later() {
  constexpr std::chrono::seconds kBetween{1};
  if (is_kept() || Clock::now() - kept_at_ < kBetween) return;
  kept_at_ = Clock::now();
  write([](const Fault*) {});
}

}  // namespace sluice::id
