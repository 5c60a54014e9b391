#pragma once
// Workers: a few threads for methods that may block or compute long, so that no loop waits for them.

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "rpc/function.h"

namespace sluice {

class Workers {
 public:
  explicit Workers(std::size_t threads);
  ~Workers();  // finishes what runs, destroys what waits, joins
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run(UniqueFunction<void()>);  // from any thread; in order of arrival

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<UniqueFunction<void()>> waiting_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace sluice
