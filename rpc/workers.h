#pragma once
// Workers: a few threads for methods that may block or compute long, so that no loop waits for them.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "rpc/fair_queue.h"
#include "rpc/reply.h"
#include "rpc/shedder.h"

namespace sluice {

class Workers {
 public:
  explicit Workers(std::size_t threads, Shedder::Limits limits = {});
  ~Workers();  // finishes what runs, destroys what waits, joins
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // From any thread. What the gateway itself has to do: before all calls, in order of arrival, and never refused. Who uses it
  // sees to it that there are few.
  void run(UniqueFunction<void()>);

  // From any thread. A call, in turn with those of other parties: `then` gets the reply back on a worker. When it must not wait, or
  // has waited for too long, or its caller is gone, the reply is answered with why, and `then` is destroyed.
  using Then = UniqueFunction<void(Reply&&)>;
  void call(Reply, Then then);

 private:
  struct Waiting {
    Waiting(Reply&& reply, Then&& then, Clock::time_point arrived) : reply(std::move(reply)), then(std::move(then)), arrived(arrived) {}
    Reply reply;
    Then then;
    Clock::time_point arrived;
  };
  void work();
  void serve(std::unique_lock<std::mutex>&);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UniqueFunction<void()>> own_;
  FairQueue<Waiting> calls_;
  Shedder shedder_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice
