#pragma once
// Shedder: may one more call wait in this queue, or is it better told so at once? Decides from what it is told; it has no clock and
// no queue of its own. Not for several threads at once.
//   full      as many wait as may
//   too_late  the call's deadline would pass before its turn, surely: by the lower end of what the calls before it can take. After
//             an idle time and in a burst nothing is sure, and it is taken
//   standing  the queue has become a place where calls wait rather than a buffer: in two spans of time in a row each call waited
//             longer than the target, and more came than were served. Until fewer come than can be served, or none, whoever would
//             wait longer than the target is refused. Callers who await each answer before they ask again do not bring it about,
//             however many they are

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "rpc/clock.h"
#include "rpc/fault.h"

namespace sluice {

class Shedder {
 public:
  struct Limits {
    std::size_t waiting = 10'000;
    std::chrono::milliseconds target{5};  // of the wait; half of what a call takes itself, where that is longer. 0: none is refused as standing
  };
  enum class Verdict : std::uint8_t { take, full, too_late, standing };
  using Duration = std::chrono::nanoseconds;

  // `servers`: how many calls run side by side.
  Shedder(Limits limits, std::size_t servers) noexcept : limits_(limits), servers_(static_cast<double>(servers)) {}

  // A call of that party comes to a FairQueue. What the gateway itself has to do (party 0), and what goes on with something that
  // was begun, is refused only when the queue is full.
  template <class Queue>
  Verdict arrive(const Queue& queue, std::uint64_t party, Deadline deadline, Clock::time_point now, bool goes_on = false) noexcept {
    const std::size_t waiting = queue.size();
    count(waiting, now);
    if (party == 0 || goes_on) return waiting >= limits_.waiting ? Verdict::full : Verdict::take;
    // Whoever need not go behind all of them is refused only for those that he has to go behind, which takes a while to count.
    const Verdict verdict = judge(waiting, waiting, deadline, now);
    return verdict == Verdict::take || verdict == Verdict::full ? verdict : judge(waiting, queue.ahead(party), deadline, now);
  }
  // One that was taken is run, after it has waited for so long. Who leaves the queue otherwise is not told of.
  void start(Duration waited, Clock::time_point now) noexcept;
  // So many calls were run in one go, and it took so long. One that took far longer than the others is an outlier; many are a change.
  void end(Duration took, std::size_t calls = 1) noexcept;

  bool shedding() const noexcept { return shedding_; }
  // What a call takes, smoothed; 0: not known.
  Duration each() const noexcept { return Duration(static_cast<std::int64_t>(mean_ns_)); }
  // What so many calls take from now on, as far as is known.
  Duration expected(std::size_t calls) const noexcept;
  // What a refused caller is told. `what` they are that wait ("reads"), and `bound`, the name of Limits::waiting.
  Fault fault(Verdict, const std::string& what, const std::string& bound, std::size_t waiting) const;

 private:
  // Some time, and what came to pass in it.
  struct Span {
    Duration least;
    std::int64_t few;  // served, before it may end and mean something
    double margin;     // what may come beyond what is served, as a part of that, before it counts as growth
    Clock::time_point since{};
    std::int64_t came = 0, served = 0;
    Duration shortest = Duration::max();  // wait
    bool grew = false;                    // in the one before
  };
  void count(std::size_t waiting, Clock::time_point now) noexcept;
  Verdict judge(std::size_t waiting, std::size_t ahead, Deadline, Clock::time_point now) const noexcept;
  void look(Span&, Clock::time_point now) noexcept;
  Duration target() const noexcept;
  bool too_late(std::size_t ahead, Deadline, Clock::time_point now) const noexcept;

  Limits limits_;
  double servers_;
  double mean_ns_ = 0, deviation_ns_ = 0;  // of what a call takes, smoothed
  Clock::time_point busy_since_{};         // when the queue was empty last
  Clock::time_point started_{};            // when the last call was
  std::size_t ended_ = 0;                  // calls since then
  bool shedding_ = false;
  Span short_{std::chrono::milliseconds(100), 8, 0.1}, long_{std::chrono::milliseconds(1000), 32, 0.03};
};

}  // namespace sluice
