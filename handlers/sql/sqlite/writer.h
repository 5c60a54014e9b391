#pragma once
// Writer: the one thread that writes. Whatever queued up while the last commit waited for the disk is run in one transaction,
// each caller's part in a savepoint of its own, committed once, and only then answered: many callers share one fsync and none
// is answered before his write is durable. One caller's failure is his alone.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "handlers/sql/sqlite/connection.h"
#include "handlers/sql/token.h"
#include "rpc/fair_queue.h"
#include "rpc/shedder.h"

namespace sluice::sql::sqlite {

struct Job {
  enum class Kind : std::uint8_t { statements, begin, commit, rollback };

  Job(Kind kind, Work work) : kind(kind), work(std::move(work)), arrived(Clock::now()) {}
  Kind kind;
  Work work;
  Verdict verdict;  // of a single statement that was classified before; else empty
  Clock::time_point arrived;
  Deadline deadline = kNoDeadline;
};

class Writer {
 public:
  struct Limits {
    std::size_t waiting = 10'000;     // jobs
    std::chrono::milliseconds queue_target{5};  // rpc/shedder.h
    std::size_t batch = 512;          // jobs in one commit
    std::chrono::milliseconds batch_time{2};  // no further job is taken into a commit after that
    AnswerLimits answer;
    std::chrono::milliseconds longest_transaction{300'000};
  };

  // `secret` seals tokens.
  Writer(const std::string& file, std::string secret, Limits);
  ~Writer();  // finishes the batch that runs, rolls an open transaction back, destroys what waits

  void run(Job);  // from any thread; in turn with those of other parties; answers overloaded when it must not wait

  struct Counters {
    std::atomic<std::uint64_t> commits{0}, jobs{0}, transactions{0}, abandoned{0};
  };
  const Counters& counters() const noexcept { return counters_; }
  std::size_t waiting() const;
  // The causality token of the commits so far. From any thread.
  std::string token() const;
  bool gave(std::string_view token) const;  // this file's writer, now or before a restart

 private:
  struct Transaction {
    std::string handle, owner;  // owner: Options::caller of who began it; to others it is not there
    Deadline deadline;
    std::chrono::milliseconds span;
  };
  struct Ended {
    std::string handle, owner, how;
  };
  using Answers = std::vector<std::pair<Job, Outcome>>;

  void work();
  void batch(std::unique_lock<std::mutex>&);
  Outcome attempt(Job&);         // the statements of one job, in the open transaction
  void alone(Job, Answers&);     // a job in a transaction of its own
  void answer(Answers&);
  void in_transaction(std::unique_lock<std::mutex>&);
  std::optional<Job> next_of_transaction(std::unique_lock<std::mutex>&);
  void begin(Job);
  void end(const std::string& how);
  Fault no_transaction(const Options&) const;

  Connection connection_;
  const Limits limits_;
  const Seal seal_;
  Counters counters_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FairQueue<Job> queue_;
  Shedder shedder_;
  bool stopping_ = false;
  std::optional<Transaction> transaction_;  // of the writer's thread
  std::deque<Ended> ended_;                 // the last ones, to say what became of them
  std::thread thread_;
};

}  // namespace sluice::sql::sqlite
