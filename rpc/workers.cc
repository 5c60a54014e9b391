#include "rpc/workers.h"

namespace sluice {

Workers::Workers(std::size_t threads, Shedder::Limits limits) : shedder_(limits, threads) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Workers::~Workers() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Workers::run(UniqueFunction<void()> task) {
  {
    std::lock_guard lock(mutex_);
    own_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void Workers::call(Reply reply, Then then) {
  const auto now = Clock::now();
  const auto party = reply.party();
  std::unique_lock lock(mutex_);
  const std::size_t waiting = calls_.size();
  const auto verdict = shedder_.arrive(calls_, party, reply.deadline(), now);
  if (verdict == Shedder::Verdict::take) {
    calls_.push(party, Waiting(std::move(reply), std::move(then), now));
    lock.unlock();
    return changed_.notify_one();
  }
  Fault fault = shedder_.fault(verdict, "calls of methods that block", "gateway.workers_waiting", waiting);
  lock.unlock();
  reply(std::move(fault));
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !own_.empty() || !calls_.empty(); });
    if (stopping_) return;
    if (own_.empty()) {
      serve(lock);
      continue;
    }
    auto task = std::move(own_.front());
    own_.pop_front();
    lock.unlock();
    task();
    task.reset();
    lock.lock();
  }
}

void Workers::serve(std::unique_lock<std::mutex>& lock) {
  Waiting call = calls_.pop();
  const auto started = Clock::now();
  const bool late = started >= call.reply.deadline(), gone = call.reply.cancelled();
  if (!late && !gone) shedder_.start(started - call.arrived, started);
  lock.unlock();
  if (gone)
    call.reply(Fault(Fault::Kind::cancelled, "the caller is gone"));
  else if (late)
    call.reply(Fault(Fault::Kind::deadline_exceeded, "the call's time was up before a worker was free for it; it has not run"));
  else
    call.then(std::move(call.reply));
  call.then.reset();
  lock.lock();
  if (!late && !gone) shedder_.end(Clock::now() - started);
}

}  // namespace sluice
