#include "handlers/sql/sqlite/readers.h"

namespace sluice::sql::sqlite {

Readers::Readers(std::string file, std::size_t threads, Shedder::Limits limits) : shedder_(limits, threads) {
  for (std::size_t i = 0; i < threads; ++i) connections_.push_back(std::make_unique<Connection>(file, Connection::Mode::reader));
  for (auto& connection : connections_) threads_.emplace_back([this, c = connection.get()] { work(*c); });
}

Readers::~Readers() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& connection : connections_) connection->halt();
  for (auto& thread : threads_) thread.join();
}

std::optional<Fault> Readers::run(const Caller& caller, Task& task) {
  const auto now = Clock::now();
  {
    std::lock_guard lock(mutex_);
    const auto verdict = shedder_.arrive(queue_, caller.party, caller.deadline, now, caller.goes_on);
    if (verdict != Shedder::Verdict::take) return shedder_.fault(verdict, "reads", "sqlite.reads_waiting", queue_.size());
    queue_.push(caller.party, {++arrived_, now, caller.deadline, std::move(task)});
  }
  changed_.notify_one();
  return std::nullopt;
}

std::size_t Readers::waiting() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

void Readers::work(Connection& connection) {
  // The last arrival that the open snapshot covers. BEGIN takes no snapshot yet, the first read does; counting at BEGIN is
  // therefore on the safe side.
  std::uint64_t covered = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_) break;
    if (queue_.empty()) {
      if (covered) {
        // An open snapshot keeps the log from being cut short: it does not outlast the work.
        lock.unlock();
        connection.control("COMMIT");
        covered = 0;
        // Calls come in bursts: who queues them may be in the middle of one, on this core, and would wake us for each.
        std::this_thread::yield();
        lock.lock();
        continue;
      }
      changed_.wait(lock);
      continue;
    }
    // One task at a time: a slow one holds up this thread and nobody who waits behind it.
    Entry entry = queue_.pop();
    const auto started = Clock::now();
    if (started >= entry.deadline) {
      lock.unlock();
      entry.task(nullptr);
      entry.task.reset();
      lock.lock();
      continue;
    }
    shedder_.start(started - entry.arrived, started);
    const std::uint64_t arrived = arrived_;
    lock.unlock();
    if (entry.number > covered) {
      if (covered) connection.control("COMMIT");
      connection.control("BEGIN");
      covered = arrived;
    }
    entry.task(&connection);
    entry.task.reset();
    lock.lock();
    shedder_.end(Clock::now() - started);
  }
  lock.unlock();
  if (covered) connection.control("COMMIT");
}

}  // namespace sluice::sql::sqlite
