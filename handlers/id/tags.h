#pragma once
// Tags: the numbers of named tags, given from segments that are reserved in the store ahead of use. Goes on through an outage of
// the store until both buffers are spent. A crash loses what is in them: a gap, never a repeat.

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "handlers/id/segment.h"
#include "rpc/loop.h"

namespace sluice::id {

class Tags {
 public:
  struct Options {
    std::int64_t tags = 10'000;   // held at once; another then takes the place of one that is not waited for
    std::int64_t waiting = 4096;  // callers who may wait for one tag; more are shed
    std::int64_t wait_ms = 2000;  // a caller waits at most so long
  };
  using Given = std::variant<Buffers::Rows, Fault>;

  // `store` outlives it, and works on `home`.
  Tags(Store& store, Loop& home, Options options);
  ~Tags();

  // From any loop, without a wait. False: call wait().
  bool take(const std::string& tag, std::int64_t& number);
  bool take(const std::string& tag, std::int64_t count, Buffers::Rows& to);
  // From any loop; `done` is called once, on home, unless this goes first.
  void wait(std::string tag, std::int64_t count, UniqueFunction<void(Given)> done);

  struct Stats {
    std::int64_t tags = 0, left = 0, errors = 0;
  };
  Stats stats() const;

 private:
  struct Waiter {
    std::int64_t count;
    Clock::time_point since, deadline;
    UniqueFunction<void(Given)> done;
  };
  struct Row;

  void on_home(Loop::Task);
  template <class Taken>
  bool take_inline(const std::string& tag, Taken taken);
  void refill(const std::string& tag);
  void filled(const std::string& tag, Reserved);
  void serve(const std::string& tag);
  void look_again();
  void make_room();

  Store& store_;
  Loop& home_;
  const Options options_;
  mutable std::mutex mutex_;  // over the rows and all in them; never held while the store or a caller is called
  std::map<std::string, std::unique_ptr<Row>, std::less<>> rows_;
  std::int64_t errors_ = 0;
  Timer timer_;  // while someone waits, or a fetch failed
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sluice::id
