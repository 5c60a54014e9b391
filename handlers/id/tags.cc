#include "handlers/id/tags.h"

#include <algorithm>
#include <optional>

namespace sluice::id {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kTick{8};  // of the loop's timers
constexpr milliseconds kFirstRetry{50}, kLastRetry{1000};

}  // namespace

struct Tags::Row {
  Buffers buffers;
  Step step;
  bool known = false;  // its step was read
  bool busy = false;   // the store is asked
  std::deque<Waiter> waiting;
  std::optional<Fault> last_fault;
  int failures = 0;
  Clock::time_point failed_at{}, not_before{}, filled_at{};
  std::int64_t taken_then = 0;
};

Tags::Tags(Store& store, Loop& home, Options options) : store_(store), home_(home), options_(options), timer_(home) {}
Tags::~Tags() = default;

void Tags::on_home(Loop::Task task) {
  if (Loop::current() == &home_) return task();
  home_.post([alive = std::weak_ptr<bool>(alive_), task = std::move(task)]() mutable {
    if (!alive.expired()) task();
  });
}

template <class Taken>
bool Tags::take_inline(const std::string& tag, Taken taken) {
  bool fetch = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(tag);
    if (found == rows_.end() || !found->second->waiting.empty() || !taken(found->second->buffers)) return false;
    Row& row = *found->second;
    fetch = !row.busy && row.buffers.low() && (row.failures == 0 || Clock::now() >= row.not_before);
    if (fetch) row.busy = true;
  }
  if (fetch) on_home([this, tag] { refill(tag); });
  return true;
}

bool Tags::take(const std::string& tag, std::int64_t& number) {
  return take_inline(tag, [&](Buffers& buffers) { return buffers.take(number); });
}
bool Tags::take(const std::string& tag, std::int64_t count, Buffers::Rows& to) {
  return take_inline(tag, [&](Buffers& buffers) { return buffers.take(count, to); });
}

void Tags::wait(std::string tag, std::int64_t count, UniqueFunction<void(Given)> done) {
  on_home([this, tag = std::move(tag), count, done = std::move(done)]() mutable {
    std::unique_lock lock(mutex_);
    make_room();
    auto& row = rows_[tag];
    if (!row) row = std::make_unique<Row>();
    if (static_cast<std::int64_t>(row->waiting.size()) >= options_.waiting) {
      lock.unlock();
      return done(Fault(Fault::Kind::overloaded, std::to_string(options_.waiting) + " calls wait for numbers of the tag " + describe(Value(tag)).substr(7) + " already; try again later", {{"retry_after_ms", 100}}));
    }
    row->waiting.push_back({count, Clock::now(), deadline_in(milliseconds(options_.wait_ms)), std::move(done)});
    lock.unlock();
    serve(tag);
  });
}

// Under the lock. What the one that goes had left is a gap.
void Tags::make_room() {
  if (static_cast<std::int64_t>(rows_.size()) < options_.tags) return;
  const auto idle = std::ranges::find_if(rows_, [](const auto& each) { return !each.second->busy && each.second->waiting.empty(); });
  if (idle != rows_.end()) rows_.erase(idle);
}

// On home; the row is marked busy.
void Tags::refill(const std::string& tag) {
  std::int64_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(tag);
    if (found == rows_.end()) return;
    Row& row = *found->second;
    const auto now = Clock::now();
    if (row.known) {
      if (row.filled_at != Clock::time_point{})
        row.step.adapt(row.buffers.taken() - row.taken_then, std::chrono::duration_cast<milliseconds>(now - row.filled_at).count());
      row.filled_at = now;
      row.taken_then = row.buffers.taken();
      count = row.step.now;
    }
    if (!row.waiting.empty()) count = std::max(count, row.waiting.front().count - row.buffers.left());
    if (!row.known && count <= 1) count = 0;  // as the tag says
  }
  store_.reserve(tag, count, [this, tag, alive = std::weak_ptr<bool>(alive_)](Reserved reserved) {
    if (!alive.expired()) filled(tag, std::move(reserved));
  });
}

void Tags::filled(const std::string& tag, Reserved reserved) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(tag);
    if (found == rows_.end()) return;
    Row& row = *found->second;
    row.busy = false;
    if (auto* fault = std::get_if<Fault>(&reserved)) {
      ++errors_;
      ++row.failures;
      row.failed_at = Clock::now();
      row.not_before = row.failed_at + std::min(kFirstRetry * (1 << std::min(row.failures - 1, 5)), kLastRetry);
      row.last_fault = std::move(*fault);
    } else {
      const auto& segment = std::get<Segment>(reserved);
      row.failures = 0;
      row.last_fault.reset();
      row.step.least = segment.step;
      row.step.now = std::max(row.known ? row.step.now : segment.step, segment.step);
      row.known = true;
      row.buffers.fill(segment);
    }
  }
  serve(tag);
}

// In order of arrival, as far as it goes. On home.
void Tags::serve(const std::string& tag) {
  std::vector<std::pair<UniqueFunction<void(Given)>, Given>> answers;
  bool fetch = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(tag);
    if (found == rows_.end()) return;
    Row& row = *found->second;
    while (!row.waiting.empty()) {
      Waiter& first = row.waiting.front();
      Buffers::Rows rows;
      if (row.buffers.take(first.count, rows)) {
        answers.emplace_back(std::move(first.done), std::move(rows));
      } else if (row.last_fault && (Clock::now() >= first.deadline || (row.failed_at >= first.since && !codes(row.last_fault->kind()).retryable))) {
        answers.emplace_back(std::move(first.done), *row.last_fault);
      } else if (Clock::now() >= first.deadline) {
        answers.emplace_back(std::move(first.done), Fault(Fault::Kind::unavailable, "the store of ids gave no segment of the tag " + describe(Value(tag)).substr(7) + " within " + std::to_string(options_.wait_ms) + " ms"));
      } else {
        break;
      }
      row.waiting.pop_front();
    }
    const bool wanted = !row.waiting.empty() || row.buffers.low();
    // A tag that nobody knows is not asked for again until somebody does.
    const bool alive = !row.waiting.empty() || row.known;
    fetch = wanted && alive && !row.busy && (row.failures == 0 || Clock::now() >= row.not_before);
    if (fetch) row.busy = true;
    if (!row.waiting.empty()) look_again();
    if (!row.known && !row.busy && row.waiting.empty()) rows_.erase(found);
  }
  if (fetch) refill(tag);
  for (auto& [done, given] : answers) done(std::move(given));
}

void Tags::look_again() {
  if (timer_.running()) return;
  timer_.start(kTick, [this] {
    std::vector<std::string> tags;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [tag, row] : rows_)
        if (!row->waiting.empty()) tags.push_back(tag);
    }
    for (const std::string& tag : tags) serve(tag);
  });
}

Tags::Stats Tags::stats() const {
  const std::lock_guard lock(mutex_);
  Stats stats{static_cast<std::int64_t>(rows_.size()), 0, errors_};
  for (const auto& [tag, row] : rows_) stats.left += row->buffers.left();
  return stats;
}

}  // namespace sluice::id
