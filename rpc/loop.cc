#include "rpc/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

namespace sluice {
namespace {

thread_local Loop* running_loop = nullptr;

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

}  // namespace

Loop::Loop() : start_(Clock::now()), now_(start_) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) throw_errno("epoll_create1");
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) {
    ::close(epoll_);
    throw_errno("eventfd");
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // edge: never read, the next write wakes again
  event.data.ptr = nullptr;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
}

Loop::~Loop() {
  discard();
  ::close(wake_);
  ::close(epoll_);
}

bool Loop::discard() {
  bool any = false;
  while (true) {
    std::vector<Task> gone;  // one that is dropped may post another: a Reply answers by itself
    {
      std::lock_guard lock(tasks_mutex_);
      gone.swap(tasks_);
    }
    if (gone.empty()) return any;
    any = true;
  }
}

Loop* Loop::current() noexcept { return running_loop; }

void Loop::run() {
  running_loop = this;
  while (!stopping_.load(std::memory_order_acquire)) {
    int count = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), wait_ms());
    if (count < 0 && errno != EINTR) throw_errno("epoll_wait");
    now_ = Clock::now();
    events_end_ = std::max(count, 0);
    for (events_at_ = 0; events_at_ < events_end_;) {
      auto& event = events_[static_cast<std::size_t>(events_at_++)];
      if (event.data.ptr) static_cast<Watcher*>(event.data.ptr)->on_ready(event.events);
    }
    run_tasks();
    run_timers();
    run_turn_end();
  }
  running_loop = nullptr;
}

void Loop::stop() noexcept {
  stopping_.store(true, std::memory_order_release);
  ::eventfd_write(wake_, 1);
}

void Loop::post(Task task) {
  bool wake;
  {
    std::lock_guard lock(tasks_mutex_);
    tasks_.push_back(std::move(task));
    wake = !tasks_waiting_.exchange(true, std::memory_order_acq_rel);
  }
  // On its own thread the loop looks at the queue before it sleeps; a second task finds it woken already.
  if (wake && running_loop != this) ::eventfd_write(wake_, 1);
}

void Loop::watch(int fd, std::uint32_t events, Watcher& watcher) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) < 0) throw_errno("epoll_ctl");
}

void Loop::rewatch(int fd, std::uint32_t events, Watcher& watcher) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watcher;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::unwatch(int fd, Watcher& watcher) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  // What epoll already reported in this turn must not reach an object that may be gone.
  for (int i = events_at_; i < events_end_; ++i)
    if (auto& event = events_[static_cast<std::size_t>(i)]; event.data.ptr == &watcher) event.data.ptr = nullptr;
}

void Loop::at_turn_end(TurnEnd& hook) { turn_ends_.push_back(&hook); }

void Loop::forget(TurnEnd& hook) noexcept { std::replace(turn_ends_.begin(), turn_ends_.end(), &hook, static_cast<TurnEnd*>(nullptr)); }

std::uint64_t Loop::tick_of(Clock::time_point when) const noexcept { return static_cast<std::uint64_t>((when - start_) / kTick); }

// The first slot at or after `from`, around the wheel, that holds a timer; kSlots when none does.
std::size_t Loop::next_occupied(std::size_t from) const noexcept {
  constexpr std::size_t words = kSlots / 64;
  std::uint64_t bits = occupied_[from / 64] & (~std::uint64_t{0} << from % 64);
  for (std::size_t i = 0;; ++i) {
    const std::size_t word = (from / 64 + i) % words;
    if (i > 0) bits = occupied_[word];
    if (bits) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
    if (i == words) return kSlots;
  }
}

int Loop::wait_ms() const noexcept {
  if (tasks_waiting_.load(std::memory_order_acquire) || stopping_.load(std::memory_order_acquire)) return 0;
  const std::size_t slot = next_occupied((tick_ + 1) % kSlots);
  if (slot == kSlots) return -1;
  const std::uint64_t ahead = 1 + (slot + kSlots - (tick_ + 1) % kSlots) % kSlots;
  const auto due = start_ + kTick * static_cast<std::int64_t>(tick_ + ahead);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

void Loop::run_tasks() {
  if (!tasks_waiting_.load(std::memory_order_acquire)) return;
  {
    std::lock_guard lock(tasks_mutex_);
    running_tasks_.swap(tasks_);
    tasks_waiting_.store(false, std::memory_order_release);
  }
  for (Task& task : running_tasks_) {
    try {
      task();
    } catch (const std::bad_alloc&) {
      // There was no memory for it. What it holds goes now, and a Reply that goes unanswered answers by itself.
    }
    task.reset();  // what it owns goes now, not when the whole batch is through
  }
  running_tasks_.clear();
}

void Loop::run_timers() {
  const std::uint64_t now = tick_of(now_);
  if (next_occupied(0) == kSlots) {
    tick_ = now;
    return;
  }
  // After a long pause every slot is visited once: that finds all that is due.
  if (now - tick_ > kSlots) tick_ = now - kSlots;
  while (tick_ < now) {
    ++tick_;
    // A task may start and stop any timer, so the slot is searched anew after each.
    for (bool found = true; found;) {
      found = false;
      for (Timer* timer = slots_[tick_ % kSlots]; timer; timer = timer->next_) {
        if (timer->due_ > now) continue;
        timer->unlink();
        Task task = std::move(timer->task_);
        task();  // may destroy the timer
        found = true;
        break;
      }
    }
  }
}

void Loop::run_turn_end() {
  for (std::size_t i = 0; i < turn_ends_.size(); ++i)  // by index: a hook may register another
    if (turn_ends_[i]) turn_ends_[i]->on_turn_end();
  turn_ends_.clear();
}

void Timer::start(std::chrono::milliseconds after, Loop::Task task) {
  stop();
  task_ = std::move(task);
  after = std::min<std::chrono::milliseconds>(after, std::chrono::hours(24 * 365));  // no wrap-around
  const auto ticks = std::max<std::int64_t>((after + Loop::kTick - std::chrono::milliseconds(1)) / Loop::kTick, 0);
  // Counted from the present and not from the turn's start, and at least one tick ahead of the wheel.
  due_ = std::max(loop_->tick_of(Clock::now()) + static_cast<std::uint64_t>(ticks), loop_->tick_) + 1;
  link(due_ % Loop::kSlots);
}

void Timer::stop() noexcept {
  if (linked_) unlink();
  task_.reset();
}

void Timer::link(std::size_t slot) noexcept {
  previous_ = nullptr;
  next_ = loop_->slots_[slot];
  if (next_) next_->previous_ = this;
  loop_->slots_[slot] = this;
  loop_->occupied_[slot / 64] |= std::uint64_t{1} << slot % 64;
  linked_ = true;
}

void Timer::unlink() noexcept {
  const std::size_t slot = due_ % Loop::kSlots;
  (previous_ ? previous_->next_ : loop_->slots_[slot]) = next_;
  if (next_) next_->previous_ = previous_;
  if (!loop_->slots_[slot]) loop_->occupied_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
  linked_ = false;
}

}  // namespace sluice
