// Ids in process, in nanoseconds each: medians of nine runs.    ids

#include <algorithm>
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

template <class Work>
void median(const char* what, std::int64_t ids, Work work) {
  std::vector<double> all;
  for (int run = 0; run < 9; ++run) {
    const auto start = std::chrono::steady_clock::now();
    work();
    all.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(ids));
  }
  std::ranges::sort(all);
  std::printf("%-48s %8.1f ns   (%.1f - %.1f)\n", what, all[4], all.front(), all.back());
}

}  // namespace

int main() {
  constexpr std::int64_t kIds = 2'000'000;
  constexpr std::int64_t kNever = std::int64_t{1} << 40;  // no bound: the generator alone, not the layout's ceiling
  LogicalClock clock;
  Snowflake ids{Layout{}};
  ids.appoint(1, 0, kNever, kNever);
  volatile std::int64_t sink = 0;
  const auto take = [&](std::int64_t count, std::int64_t times) {
    for (std::int64_t i = 0; i < times; ++i) {
      const auto taken = ids.take(count, ids.layout().tick(clock.now_ms()), kNever / 2, false);
      sink = ids.id(taken.block, 0);
    }
  };
  median("snowflake, one thread", kIds, [&] { take(1, kIds); });
  median("snowflake, two threads contended", kIds, [&] {
    std::thread other([&] { take(1, kIds / 2); });
    take(1, kIds / 2);
    other.join();
  });
  median("snowflake, a block of 1000", kIds / 1000, [&] { take(1000, kIds / 1000); });
  Uuids uuids;
  median("uuid v7", kIds / 4, [&] {
    for (std::int64_t i = 0; i < kIds / 4; ++i) sink = uuids.v7()[15];
  });
  median("uuid v4", kIds / 4, [&] {
    for (std::int64_t i = 0; i < kIds / 4; ++i) sink = uuids.v4()[15];
  });
  const Hider hider("k", "0123456789abcdef");
  median("hide", kIds / 20, [&] {
    for (std::int64_t i = 0; i < kIds / 20; ++i) sink = hider.hide(i, "main");
  });
}
