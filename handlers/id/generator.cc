#include "handlers/id/generator.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "handlers/id/random.h"

namespace sluice::id {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{8};  // of the loop's timers
constexpr milliseconds kFirstRetry{50}, kLastRetry{1000};

std::string host_name() {
  char name[256]{};
  return ::gethostname(name, sizeof name - 1) == 0 && name[0] ? name : "localhost";
}

}  // namespace

Generator::Generator(Space space, Store& store, Loop& home, Options options)
    : space_(std::move(space)),
      store_(store),
      home_(home),
      options_([&] {
        if (options.gateway.empty()) options.gateway = host_name();
        options.window_ms = std::max(options.window_ms, 3 * space_.layout.tick_ms);  // some whole ticks, wherever it begins
        return std::move(options);
      }()),
      ahead_ticks_((options_.ahead_ms + space_.layout.tick_ms - 1) / space_.layout.tick_ms),
      ids_(space_.layout),
      timer_(home) {}

std::optional<Snowflake::Block> Generator::take(std::int64_t count) {
  if (queued_.load(std::memory_order_relaxed) > 0) return std::nullopt;
  const auto taken = ids_.take(count, space_.layout.tick(clock_.now_ms()), ahead_ticks_, leftovers_.load(std::memory_order_relaxed));
  if (taken.refusal) return std::nullopt;
  if (taken.low && !asked_.load(std::memory_order_relaxed)) ask();
  return taken.block;
}

void Generator::ask() {
  if (!asked_.exchange(true)) on_home([this] { refill(); });
}

// A task that outlives the generator is not run.
void Generator::on_home(Loop::Task task) {
  if (Loop::current() == &home_) return task();
  home_.post([alive = std::weak_ptr<bool>(alive_), task = std::move(task)]() mutable {
    if (!alive.expired()) task();
  });
}

void Generator::wait(std::int64_t count, UniqueFunction<void(Given)> done) {
  on_home([this, count, done = std::move(done)]() mutable {
    if (static_cast<std::int64_t>(waiting_.size()) >= options_.waiting)
      return done(Fault(Fault::Kind::overloaded, std::to_string(waiting_.size()) + " calls wait for ids of the space '" + space_.name + "' already; try again later", {{"retry_after_ms", options_.ahead_ms}}));
    ++waited_;
    waiting_.push_back({count, deadline_in(milliseconds(options_.wait_ms)), std::move(done)});
    queued_.store(static_cast<std::int64_t>(waiting_.size()), std::memory_order_relaxed);
    serve();
  });
}

// In order of arrival, as far as it goes.
void Generator::serve() {
  std::vector<std::pair<UniqueFunction<void(Given)>, Given>> answers;
  while (!waiting_.empty()) {
    Waiter& first = waiting_.front();
    const auto taken = ids_.take(first.count, space_.layout.tick(clock_.now_ms()), ahead_ticks_, leftovers_.load(std::memory_order_relaxed));
    if (!taken.refusal) {
      answers.emplace_back(std::move(first.done), taken.block);
      waiting_.pop_front();
      if (taken.low) ask();
      continue;
    }
    if (Clock::now() >= first.deadline) {
      answers.emplace_back(std::move(first.done), late(*taken.refusal));
      waiting_.pop_front();
      continue;
    }
    if (taken.refusal == Snowflake::Refusal::mark) refill();
    if (!waiting_.empty()) look_again(kTick);
    break;
  }
  queued_.store(static_cast<std::int64_t>(waiting_.size()), std::memory_order_relaxed);
  for (auto& [done, given] : answers) done(std::move(given));
}

// What to tell someone who waited as long as he may.
Fault Generator::late(Snowflake::Refusal refusal) const {
  if (last_fault_) return *last_fault_;
  const std::string after = " within " + std::to_string(options_.wait_ms) + " ms (id.wait_ms)";
  if (refusal == Snowflake::Refusal::mark)
    return Fault(Fault::Kind::unavailable, "the store of ids did not answer" + after + ", and nothing is left of the space '" + space_.name + "'", {{"retry_after_ms", kLastRetry.count()}});
  return Fault(Fault::Kind::overloaded, "no id of the space '" + space_.name + "' came free" + after + ": more are asked for than its layout has, " + std::to_string(space_.layout.per_tick()) + " for each " +
                                            std::to_string(space_.layout.tick_ms) + " ms",
               {{"retry_after_ms", options_.ahead_ms}});
}

void Generator::look_again(milliseconds after) {
  if (!timer_.running()) timer_.start(after, [this] {
    if (asked_.load(std::memory_order_relaxed)) refill();
    serve();
  });
}

void Generator::refill() {
  if (busy_) return;
  if (const auto now = Clock::now(); now < not_before_) return look_again(std::chrono::ceil<milliseconds>(not_before_ - now));
  if (tenure_)
    extend();
  else
    claim();
}

void Generator::claim() {
  const std::int64_t before = space_.layout.unix_ms(ids_.next_tick());
  if (ids_.limit() == 0 && ids_.next_tick() == 0) clock_.restart();
  if (clock_.now_ms() < space_.layout.epoch_ms)
    return failed(Fault(Fault::Kind::unavailable, "this machine's clock is before the epoch of the space '" + space_.name + "' (" + space_.layout.describe() + "); set the clock right"));
  busy_ = true;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(random_word()));
  instance_ = hex;  // another for each claim: one whose answer was lost is not taken for this one
  Claim claim{space_.name, space_.layout.describe(), options_.gateway, instance_, space_.layout.workers(), std::max(clock_.now_ms(), before), options_.window_ms, options_.lease_ms};
  store_.claim(std::move(claim), [this, alive = std::weak_ptr<bool>(alive_)](Claimed answer) {
    if (!alive.expired()) claimed(std::move(answer));
  });
}

void Generator::claimed(Claimed answer) {
  busy_ = false;
  if (auto* fault = std::get_if<Fault>(&answer)) return failed(std::move(*fault));
  if (const auto* exhausted = std::get_if<Exhausted>(&answer)) {
    Fault fault(Fault::Kind::unavailable,
                "all " + std::to_string(space_.layout.workers()) + " worker ids of the space '" + space_.name + "' are leased; the first may come free in " + std::to_string(exhausted->retry_ms) +
                    " ms. Stop a gateway, or give the space more worker bits (id.spaces)",
                {{"retry_after_ms", exhausted->retry_ms}});
    fail_all(fault);
    return failed(std::move(fault));
  }
  took_up(std::get<Tenure>(answer));
}

void Generator::took_up(const Tenure& tenure) {
  const std::int64_t now = clock_.now_ms();
  if (tenure.start_ms - now > options_.lead_ms)
    return failed(Fault(Fault::Kind::conflict, "worker id " + std::to_string(tenure.worker) + " of the space '" + space_.name + "' was used up to " + std::to_string((tenure.start_ms - now) / 1000) +
                                                   " s ahead of this machine's clock; set the clock right, or raise id.lead_ms"));
  if (space_.layout.tick_up(tenure.start_ms) >= std::int64_t{1} << space_.layout.time_bits)
    return failed(Fault(Fault::Kind::unavailable, "the time of the space '" + space_.name + "' (" + space_.layout.describe() + ") is over; configure a new space with a later epoch"));
  // The time goes on from the mark: else the first ids would count as ahead of it, and their callers wait.
  if (tenure.start_ms > now) clock_.raise(tenure.start_ms);
  tenure_ = tenure;
  lease_until_ = Clock::now() + milliseconds(options_.lease_ms);
  ids_.appoint(tenure.worker, space_.layout.tick_up(tenure.start_ms), limit_of(tenure.mark_ms), limit_of(tenure.mark_ms - options_.window_ms / 2));
  last_fault_.reset();
  failures_ = 0;
  leftovers_.store(false, std::memory_order_relaxed);
  asked_.store(false);
  serve();
}

std::int64_t Generator::limit_of(std::int64_t mark_ms) const noexcept { return std::min(space_.layout.tick(mark_ms), std::int64_t{1} << space_.layout.time_bits); }

void Generator::extend() {
  busy_ = true;
  const std::int64_t from = std::max(clock_.now_ms(), space_.layout.unix_ms(ids_.next_tick()));
  // A tick that the mark cuts is not given: whatever waits must fit below.
  const std::int64_t wanted = waiting_.empty() ? 0 : waiting_.front().count / space_.layout.per_tick() * space_.layout.tick_ms;
  const std::int64_t mark = std::max(from + options_.window_ms + wanted, tenure_->mark_ms);
  store_.extend({space_.name, options_.gateway, instance_, tenure_->worker, tenure_->epoch, mark, options_.lease_ms},
                [this, mark, sent = Clock::now(), alive = std::weak_ptr<bool>(alive_)](Extended answer) {
                  if (!alive.expired()) extended(mark, sent, std::move(answer));
                });
}

void Generator::extended(std::int64_t mark_ms, Clock::time_point sent, Extended answer) {
  busy_ = false;
  if (auto* fault = std::get_if<Fault>(&answer)) return failed(std::move(*fault));
  if (!std::get<Kept>(answer).kept) {
    ++errors_;
    tenure_.reset();  // someone else has the worker id; what is below the old mark stays ours
    return claim();
  }
  tenure_->mark_ms = mark_ms;
  lease_until_ = sent + milliseconds(options_.lease_ms);
  ids_.extend(limit_of(mark_ms), limit_of(mark_ms - options_.window_ms / 2));
  last_fault_.reset();
  failures_ = 0;
  leftovers_.store(false, std::memory_order_relaxed);
  asked_.store(false);
  serve();
}

void Generator::failed(Fault fault) {
  ++errors_;
  ++failures_;
  last_fault_ = std::move(fault);
  leftovers_.store(true, std::memory_order_relaxed);
  const milliseconds pause = std::min(kFirstRetry * (1 << std::min(failures_ - 1, 5)), kLastRetry);
  not_before_ = Clock::now() + pause;
  serve();
  // Nobody waits, but the mark is near: go on trying.
  if (asked_.load(std::memory_order_relaxed)) look_again(pause);
}

void Generator::fail_all(const Fault& fault) {
  auto all = std::exchange(waiting_, {});
  queued_.store(0, std::memory_order_relaxed);
  for (Waiter& each : all) each.done(fault);
}

void Generator::stats(UniqueFunction<void(Stats)> done) {
  on_home([this, done = std::move(done)]() mutable {
    Stats s;
    s.claimed = tenure_.has_value();
    s.now_ms = clock_.now_ms();
    s.lead_ms = clock_.lead_ms();
    s.leapt = clock_.leapt();
    s.sequence = ids_.next_sequence();
    s.last_ms = space_.layout.unix_ms(ids_.next_tick() - (ids_.next_tick() > 0 ? 1 : 0));
    if (tenure_) {
      s.worker = tenure_->worker;
      s.epoch = tenure_->epoch;
      s.mark_ms = tenure_->mark_ms;
      s.lease_left_ms = std::max<std::int64_t>(0, std::chrono::duration_cast<milliseconds>(lease_until_ - Clock::now()).count());
    }
    s.waited = waited_;
    s.errors = errors_;
    done(s);
  });
}

void Generator::release(UniqueFunction<void()> done) {
  if (!tenure_) return done();
  const Tenure tenure = *std::exchange(tenure_, std::nullopt);
  ids_.appoint(tenure.worker, ids_.next_tick() + 1, 0, 0);  // another word: whoever is about to take an id fails
  store_.release({space_.name, options_.gateway, instance_, tenure.worker, tenure.epoch, space_.layout.unix_ms(ids_.next_tick()), options_.lease_ms},
                 [done = std::move(done)](Extended) mutable { done(); });
}

}  // namespace sluice::id
