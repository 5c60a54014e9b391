#pragma once
// Readers: threads with read-only handles. Reads that wait together share one snapshot, which is taken after the last of them
// arrived: the cost of a transaction is shared, and nobody reads less than was committed before he asked.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "handlers/sql/sqlite/connection.h"

namespace sluice::sql::sqlite {

class Readers {
 public:
  // Runs on a reader's thread, within the shared snapshot. Must not throw.
  using Task = UniqueFunction<void(Connection&)>;

  Readers(std::string file, std::size_t threads, std::size_t most_waiting);
  ~Readers();  // finishes what runs, destroys what waits

  // From any thread. False when the queue is full; the task is then untouched.
  bool run(Task& task);
  std::size_t waiting() const;

 private:
  struct Entry {
    std::uint64_t number;
    Task task;
  };
  void work(Connection&);

  const std::size_t most_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  std::uint64_t arrived_ = 0;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::thread> threads_;
};

}  // namespace sluice::sql::sqlite
