#pragma once
// Loop: one thread's world. What it watches, its timers and the calls it reads are touched by its
// thread alone, so nothing on the call path is locked. Thin over epoll(7); see
// docs/decisions/0001-own-event-loop.md for why.

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "rpc/clock.h"
#include "rpc/function.h"

namespace sluice {

class Timer;

class Loop {
 public:
  using Task = UniqueFunction<void()>;

  // Something with a file descriptor. May unwatch and destroy itself from within on_ready().
  class Watcher {
   public:
    virtual void on_ready(std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP

   protected:
    ~Watcher() = default;
  };

  // Something that gathers work during a turn (answers to send) and does it once at its end.
  class TurnEnd {
   public:
    virtual void on_turn_end() = 0;

   protected:
    ~TurnEnd() = default;
  };

  Loop();
  ~Loop();  // tasks that did not run are destroyed
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();            // on the calling thread, until stop()
  void stop() noexcept;  // from any thread and from a signal handler's successor
  void post(Task);       // from any thread; runs later, on the loop
  bool discard();        // destroys the tasks that wait, while it does not run; false: there was none
  static Loop* current() noexcept;  // the loop that the calling thread runs, or nullptr

  // Only on the loop's thread, or while the loop does not run. Level-triggered unless EPOLLET is asked for.
  void watch(int fd, std::uint32_t events, Watcher&);  // throws std::system_error
  void rewatch(int fd, std::uint32_t events, Watcher&) noexcept;
  void unwatch(int fd, Watcher&) noexcept;  // no on_ready() after this; call it before closing fd
  void at_turn_end(TurnEnd&);               // once, at the end of the running turn
  void forget(TurnEnd&) noexcept;           // before a TurnEnd that may be registered goes

  Clock::time_point now() const noexcept { return now_; }  // of the running turn; no system call

 private:
  friend class Timer;
  static constexpr std::chrono::milliseconds kTick{8};  // the wheel's grain: timers are late by up to this
  static constexpr std::size_t kSlots = 512;

  std::uint64_t tick_of(Clock::time_point) const noexcept;
  int wait_ms() const noexcept;
  std::size_t next_occupied(std::size_t from) const noexcept;
  void run_tasks();
  void run_timers();
  void run_turn_end();

  int epoll_ = -1;
  int wake_ = -1;  // eventfd
  std::atomic<bool> stopping_{false};
  Clock::time_point start_, now_;

  std::mutex tasks_mutex_;
  std::vector<Task> tasks_;
  std::atomic<bool> tasks_waiting_{false};
  std::vector<Task> running_tasks_;

  std::array<Timer*, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> occupied_{};  // a bit for each slot that holds a timer
  std::uint64_t tick_ = 0;  // the last tick that was run

  std::array<epoll_event, 256> events_{};
  int events_at_ = 0, events_end_ = 0;
  std::vector<TurnEnd*> turn_ends_;
};

// One shot on a loop's timer wheel; cheap to start and stop, no system call. Fires at most one tick
// (8 ms) late. Only on the loop's thread. Destroying it stops it.
class Timer {
 public:
  explicit Timer(Loop& loop) noexcept : loop_(&loop) {}
  ~Timer() { stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(std::chrono::milliseconds after, Loop::Task);  // a running one is started anew
  void stop() noexcept;
  bool running() const noexcept { return linked_; }

 private:
  friend class Loop;
  void link(std::size_t slot) noexcept;
  void unlink() noexcept;

  Loop* loop_;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  std::uint64_t due_ = 0;  // tick
  bool linked_ = false;
  Loop::Task task_;
};

}  // namespace sluice
