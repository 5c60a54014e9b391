#pragma once
// Generator: the snowflake ids of one space, with the worker id under which they are given. It claims that at the first call,
// has its mark extended before it is reached, and lets callers wait, within bounds, for what cannot be given at once.

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "handlers/id/clock.h"
#include "handlers/id/layout.h"
#include "handlers/id/snowflake.h"
#include "handlers/id/store.h"
#include "rpc/loop.h"

namespace sluice::id {

class Generator {
 public:
  struct Options {
    std::string gateway;               // its name, the same after a restart; empty: the host's
    std::int64_t window_ms = 3000;     // a mark is so far ahead of the time: one durable write for each half of it
    std::int64_t lease_ms = 10'000;    // then an idle or dead gateway's worker id may be taken by another
    std::int64_t ahead_ms = 250;       // ids may be ahead of the time by so much before callers wait
    std::int64_t lead_ms = 86'400'000;  // a mark that is further ahead of the wall clock is not taken up
    std::int64_t wait_ms = 2000;       // a caller waits at most so long
    std::int64_t waiting = 4096;       // callers who may wait; more are shed
  };
  using Given = std::variant<Snowflake::Block, Fault>;

  // `store` outlives it, and works on `home`.
  Generator(Space space, Store& store, Loop& home, Options options);

  // From any loop, without a wait; nullopt: call wait().
  std::optional<Snowflake::Block> take(std::int64_t count);
  // From any loop; `done` is called once, on home, unless the generator goes first.
  void wait(std::int64_t count, UniqueFunction<void(Given)> done);
  std::int64_t id(const Snowflake::Block& block, std::int64_t index) const noexcept { return ids_.id(block, index); }
  std::int64_t most() const noexcept { return ids_.layout().per_tick() * (ahead_ticks_ + 1); }  // in one block

  const Space& space() const noexcept { return space_; }

  struct Stats {
    bool claimed = false;
    std::int64_t worker = 0, epoch = 0;
    std::int64_t now_ms = 0;        // the logical clock
    std::int64_t lead_ms = 0;       // by which that is ahead of the wall clock
    std::int64_t last_ms = 0;       // up to which ids were given
    std::int64_t sequence = 0;      // the next one in that tick
    std::int64_t mark_ms = 0;
    std::int64_t lease_left_ms = 0;
    std::int64_t waited = 0;        // calls that could not be answered at once
    std::int64_t errors = 0;        // of the store, and worker ids lost
    bool leapt = false;             // the wall clock leapt ahead further than is believed
  };
  void stats(UniqueFunction<void(Stats)> done);  // from any loop; answers on home

  // On home: gives the worker id back. The last thing it is asked.
  void release(UniqueFunction<void()> done);

 private:
  struct Waiter {
    std::int64_t count;
    Clock::time_point deadline;
    UniqueFunction<void(Given)> done;
  };

  void on_home(Loop::Task);
  void ask();
  void serve();
  void refill();
  void claim();
  void claimed(Claimed);
  void took_up(const Tenure&);
  void extend();
  void extended(std::int64_t mark_ms, Clock::time_point sent, Extended);
  void failed(Fault);
  void fail_all(const Fault&);
  Fault late(Snowflake::Refusal) const;
  void look_again(std::chrono::milliseconds after);
  std::int64_t limit_of(std::int64_t mark_ms) const noexcept;

  const Space space_;
  Store& store_;
  Loop& home_;
  const Options options_;
  const std::int64_t ahead_ticks_;

  Snowflake ids_;
  LogicalClock clock_;
  std::atomic<bool> asked_{false};      // home knows that the limit is near
  std::atomic<bool> leftovers_{false};  // the store is away: what is below the mark may be given late
  std::atomic<std::int64_t> queued_{0};  // who comes now stands behind them

  // On home alone.
  std::deque<Waiter> waiting_;
  bool busy_ = false;  // the store is asked
  std::optional<Tenure> tenure_;
  std::string instance_;
  Clock::time_point lease_until_{};
  std::optional<Fault> last_fault_;
  Clock::time_point not_before_{};  // the next try at the store
  int failures_ = 0;
  std::int64_t waited_ = 0, errors_ = 0;
  Timer timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::id
