#pragma once
// Readers: threads with read-only handles. Reads that wait together share one snapshot, which is taken after the last of them
// arrived: the cost of a transaction is shared, and nobody reads less than was committed before he asked.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "handlers/sql/sqlite/connection.h"
#include "rpc/fair_queue.h"
#include "rpc/shedder.h"

namespace sluice::sql::sqlite {

class Readers {
 public:
  // Runs on a reader's thread, within the shared snapshot; nullptr: its deadline has passed, and it is to say so. Must not throw.
  using Task = UniqueFunction<void(Connection*)>;
  struct Caller {
    std::uint64_t party;
    Deadline deadline = kNoDeadline;
    bool goes_on = false;  // the next part of what was begun
  };

  Readers(std::string file, std::size_t threads, Shedder::Limits);
  ~Readers();  // stops what runs, destroys what waits

  // From any thread. In turn with the tasks of other parties. A Fault: it is not taken, and untouched.
  std::optional<Fault> run(const Caller&, Task&);
  std::size_t waiting() const;

 private:
  struct Entry {
    std::uint64_t number;
    Clock::time_point arrived;
    Deadline deadline;
    Task task;
  };
  void work(Connection&);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FairQueue<Entry> queue_;
  Shedder shedder_;
  std::uint64_t arrived_ = 0;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::sql::sqlite
