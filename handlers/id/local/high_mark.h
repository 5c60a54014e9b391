#pragma once
// HighMark: how far a store of ids had got, in a small file beside it. A store that forgot something since, or an older copy in its
// place, is noticed by it, and ids go on above.

#include <memory>
#include <string>
#include <variant>

#include "handlers/id/local/kept_file.h"

namespace sluice::id {

class HighMark {
 public:
  struct Point {
    std::int64_t mark_ms = 0;  // the highest mark of any space
    std::int64_t changes = 0;  // of the store, where it counts them
  };
  enum class Sharing : std::uint8_t {
    alone,   // the file is one gateway's: another is refused
    shared,  // gateways have a file each, with -2, -3 behind the name, and read those of the others at the start
  };

  // Throws Fault as KeptFile does.
  HighMark(Loop& home, std::string file, Sharing);

  // On home, like all that follows. What is known, kept or not yet.
  const Point& point() const noexcept { return point_; }
  void raise(const Point&) noexcept;

  // Answers with `outcome` when all that is known is in the file; with the fault, when that failed.
  template <class Outcome>
  void keep(Outcome outcome, UniqueFunction<void(Outcome)> done) {
    if (is_kept()) return done(std::move(outcome));
    write([outcome = std::move(outcome), done = std::move(done)](const Fault* failed) mutable {
      if (failed) return done(*failed);
      done(std::move(outcome));
    });
  }
  // The same from time to time, and nobody waits for it.
  void keep_later();

 private:
  bool is_kept() const noexcept { return point_.mark_ms <= kept_.mark_ms && point_.changes <= kept_.changes; }
  void write(KeptFile::Written);
  void open_free(Loop& home, const std::string& file);

  Point point_, kept_;
  Clock::time_point kept_at_{};
  std::unique_ptr<KeptFile> file_;
};

}  // namespace sluice::id
