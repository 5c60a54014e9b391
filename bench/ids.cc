// Ids in process, in nanoseconds each: medians of many short runs, which a scheduler that takes the core away spoils few of.    ids

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "handlers/id/clock.h"
#include "handlers/id/hide.h"
#include "handlers/id/snowflake.h"
#include "handlers/id/uuid.h"

using namespace sluice::id;

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kRuns = 401;

void print(const char* what, std::vector<double> all) {
  std::ranges::sort(all);
  if (all.empty()) all.push_back(0);
  std::printf("%-48s %8.1f ns   (%.1f - %.1f of %zu runs)\n", what, all[all.size() / 2], all.front(), all.back(), all.size());
}

// `work` gives `ids` ids, in a few tenths of a millisecond.
template <class Work>
void median(const char* what, std::int64_t ids, Work work) {
  std::vector<double> all;
  for (int run = 0; run < kRuns; ++run) {
    const auto start = Clock::now();
    work();
    all.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count() / static_cast<double>(ids));
  }
  print(what, std::move(all));
}

struct Span {
  Clock::time_point from{}, to{};
};

template <class Work>
Span timed(Work work) {
  Span span{Clock::now()};
  work();
  span.to = Clock::now();
  return span;
}

// The same of two threads that do `work` at the same time and give `ids` each: the time for each id of both. Runs in which one of
// them had no core for a part of the time are left out.
template <class Work>
void contended(const char* what, std::int64_t ids, Work work) {
  std::atomic<int> told{0}, ready{0}, done{0};
  Span others;
  std::thread rival([&] {
    for (int run = 1; told.load() >= 0; ++run) {
      ready.store(run);
      while (told.load() >= 0 && told.load() < run) {
      }
      if (told.load() < 0) return;
      others = timed(work);
      done.store(run);
    }
  });
  std::vector<double> all;
  for (int run = 1; run <= 20 * kRuns && all.size() < kRuns; ++run) {
    while (ready.load() < run) std::this_thread::yield();
    told.store(run);
    const Span own = timed(work);
    while (done.load() < run) std::this_thread::yield();
    const auto both = std::min(own.to, others.to) - std::max(own.from, others.from), either = std::max(own.to, others.to) - std::min(own.from, others.from);
    if (both * 10 >= either * 9) all.push_back(std::chrono::duration<double, std::nano>(either).count() / static_cast<double>(2 * ids));
  }
  told.store(-1);
  rival.join();
  print(what, std::move(all));
}

}  // namespace

int main() {
  constexpr std::int64_t kIds = 20'000;
  constexpr std::int64_t kNever = std::int64_t{1} << 40;  // no bound: the generator alone, not the layout's ceiling
  LogicalClock clock;
  Snowflake ids{Layout{}};
  ids.appoint(1, 0, kNever, kNever);
  const auto take = [&](std::int64_t count, std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) {
      const auto taken = ids.take(count, ids.layout().tick(clock.now_ms()), kNever / 2, false);
      [[maybe_unused]] volatile const std::int64_t id = ids.id(taken.block, 0);  // none is left out
    }
  };
  median("snowflake, one thread", kIds, [&] { take(1, kIds); });
  contended("snowflake, two threads contended", kIds, [&] { take(1, kIds); });
  median("snowflake, a block of 1000", kIds / 10, [&] { take(1000, kIds / 10); });
  volatile std::int64_t sink = 0;
  Uuids uuids;
  median("uuid v7", kIds / 10, [&] {
    for (std::int64_t i = 0; i < kIds / 10; ++i) sink = uuids.v7()[15];
  });
  median("uuid v4", kIds / 10, [&] {
    for (std::int64_t i = 0; i < kIds / 10; ++i) sink = uuids.v4()[15];
  });
  const Hider hider("k", "0123456789abcdef");
  median("hide", kIds / 100, [&] {
    for (std::int64_t i = 0; i < kIds / 100; ++i) sink = hider.hide(i, "main");
  });
}
