#include "handlers/sql/sqlite/writer.h"

#include <sys/random.h>

#include <algorithm>

#include "handlers/sql/sqlite/classify.h"
#include "handlers/sql/sqlite/fence.h"

namespace sluice::sql::sqlite {
namespace {

constexpr std::size_t kRememberedEnds = 256;
constexpr const char* kSystem = "sqlite";  // of a token; which file it is the secret tells

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0'), out;
  if (::getrandom(raw.data(), raw.size(), 0) != static_cast<ssize_t>(raw.size())) throw Fault(Fault::Kind::internal, "getrandom failed");
  for (unsigned char c : raw) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

double ms_since(Clock::time_point when) { return std::chrono::duration<double, std::milli>(Clock::now() - when).count(); }

// The job's caller is gone, or out of time: nothing of it is run.
std::optional<Fault> too_late(const Job& job, bool held, Clock::time_point now) {
  if (job.work.reply.cancelled()) return Fault(Fault::Kind::cancelled, "the caller is gone, or its time was up before the primary could begin");
  if (now < job.deadline) return std::nullopt;
  return Fault(Fault::Kind::deadline_exceeded, "the call's time was up while it waited for the primary" + std::string(held ? ", which a transaction (sql.begin) holds" : ""));
}

}  // namespace

Writer::Writer(const std::string& file, std::string secret, Limits limits)
    : connection_(file, Connection::Mode::writer), limits_(limits), seal_(secret.empty() ? random_hex(32) : std::move(secret)), shedder_({limits.waiting, limits.queue_target}, 1), thread_([this] { work(); }) {}

Writer::~Writer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  connection_.halt();
  thread_.join();
}

void Writer::run(Job job) {
  const auto now = Clock::now();
  const auto party = job.work.reply.party();
  job.deadline = deadline_of(job.work, now);
  std::unique_lock lock(mutex_);
  // Who has a transaction open holds up the others: he is let through to end it.
  const auto verdict = shedder_.arrive(queue_, party, job.deadline, now, !job.work.options.tx.empty());
  if (verdict == Shedder::Verdict::take) {
    queue_.push(party, std::move(job));
    lock.unlock();
    return changed_.notify_one();
  }
  Fault fault = shedder_.fault(verdict, "calls for the primary", "sqlite.writes_waiting", queue_.size());
  lock.unlock();
  job.work.done(std::move(fault), std::move(job.work.reply));
}

std::size_t Writer::waiting() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

std::string Writer::token() const { return seal_.close({kSystem, {Mark{.seq = counters_.commits.load(std::memory_order_acquire)}}}); }

bool Writer::gave(std::string_view token) const {
  const auto position = seal_.open(token);
  return position && position->system == kSystem;
}

void Writer::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (transaction_)
      in_transaction(lock);
    else if (queue_.empty())
      changed_.wait(lock);
    else
      batch(lock);
  }
  lock.unlock();
  if (transaction_) end("rolled back because the gateway stopped");
}

Outcome Writer::attempt(Job& job) {
  Result result;
  result.route.node = result.route.role = "primary";
  result.route.verdict = job.verdict;
  result.route.waited_ms = ms_since(job.arrived);
  const Stop stop = stop_at(job.work.reply, job.deadline);
  const bool keyed = !job.work.options.key.empty();
  try {
    if (job.work.options.fence) check_fence(connection_, *job.work.options.fence);
    if (keyed) {
      if (auto reply = find_reply(connection_, job.work.options, job.work.statements)) {
        result.rows = std::move(*reply);
        result.route.verdict = {Class::write, "the key was used before: the reply of that time"};
        result.route.replayed = true;
        return result;
      }
    }
  } catch (const Fault& fault) {
    return fault;
  }
  try {
    for (const Statement& statement : job.work.statements) {
      auto prepared = connection_.prepare(statement.text);
      if (not_run_here(prepared.verdict())) throw Fault(Fault::Kind::bad_arguments, refusal(prepared.verdict(), statement.text));
      if (result.route.verdict.why.empty()) result.route.verdict = prepared.verdict();
      connection_.bind(prepared, statement.params);
      result.rows.push_back(connection_.run(prepared, limits_.answer, stop));
    }
  } catch (const std::bad_alloc&) {
    return Fault::out_of_memory();
  } catch (const Fault& fault) {
    if (job.work.statements.size() < 2) return fault;
    return of_statement(result.rows.size() + 1, job.work.statements.size(), fault);
  }
  try {
    if (keyed) keep_reply(connection_, job.work.options, job.work.statements, result.rows);
  } catch (const Fault& fault) {
    return fault;
  }
  return result;
}

// Takes jobs as they wait, up to the first that is no plain write, and commits them together.
void Writer::batch(std::unique_lock<std::mutex>& lock) {
  if (queue_.front().kind != Job::Kind::statements || !queue_.front().work.options.tx.empty()) {
    Job job = queue_.pop();
    lock.unlock();
    if (auto late = too_late(job, false, Clock::now()))
      job.work.done(std::move(*late), std::move(job.work.reply));
    else if (job.kind == Job::Kind::begin)
      begin(std::move(job));
    else
      job.work.done(no_transaction(job.work.options), std::move(job.work.reply));
    lock.lock();
    return;
  }

  const auto started = Clock::now();
  Answers answers;       // in order; those that succeeded count only once the commit did
  bool open = false, whole = true;
  std::size_t run = 0;
  for (auto now = started; !queue_.empty() && answers.size() < limits_.batch && now - started < limits_.batch_time; now = Clock::now()) {
    if (queue_.front().kind != Job::Kind::statements || !queue_.front().work.options.tx.empty()) break;
    Job job = queue_.pop();
    auto late = too_late(job, false, now);
    if (!late) {
      shedder_.start(now - job.arrived, now);
      ++run;
    }
    lock.unlock();
    if (late) {
      answers.emplace_back(std::move(job), std::move(*late));
    } else if (!open && connection_.control("BEGIN IMMEDIATE") != SQLITE_OK) {
      answers.emplace_back(std::move(job), connection_.error("BEGIN IMMEDIATE"));
    } else {
      open = true;
      connection_.control("SAVEPOINT job");
      Outcome outcome = attempt(job);
      // RAISE(ROLLBACK), ON CONFLICT ROLLBACK, a full disk or a stopped write end the whole transaction, and the neighbours'
      // work with it.
      whole = connection_.in_transaction();
      if (whole) {
        if (std::holds_alternative<Fault>(outcome)) connection_.control("ROLLBACK TO job");
        connection_.control("RELEASE job");
      }
      answers.emplace_back(std::move(job), std::move(outcome));
    }
    lock.lock();
    if (!whole || stopping_) break;
  }
  lock.unlock();

  if (open && (!whole || connection_.control("COMMIT") != SQLITE_OK)) {
    const Fault why = connection_.error("COMMIT");
    if (connection_.in_transaction()) connection_.control("ROLLBACK");
    const auto written = std::count_if(answers.begin(), answers.end(), [](auto& a) { return std::holds_alternative<Result>(a.second); });
    Answers again = std::move(answers);
    answers.clear();
    for (auto& [job, outcome] : again) {
      if (std::holds_alternative<Fault>(outcome))
        answers.emplace_back(std::move(job), std::move(outcome));
      else if (whole && written == 1)
        answers.emplace_back(std::move(job), why);  // it was this one's commit that failed
      else
        alone(std::move(job), answers);
    }
  } else if (open) {
    counters_.commits.fetch_add(1, std::memory_order_acq_rel);
  }
  answer(answers);
  lock.lock();
  shedder_.end(Clock::now() - started, run);
}

void Writer::alone(Job job, Answers& answers) {
  if (connection_.control("BEGIN IMMEDIATE") != SQLITE_OK) {
    answers.emplace_back(std::move(job), connection_.error("BEGIN IMMEDIATE"));
    return;
  }
  Outcome outcome = attempt(job);
  if (std::holds_alternative<Result>(outcome)) {
    if (connection_.control("COMMIT") != SQLITE_OK)
      outcome = connection_.error("COMMIT");
    else
      counters_.commits.fetch_add(1, std::memory_order_acq_rel);
  }
  if (connection_.in_transaction()) connection_.control("ROLLBACK");
  answers.emplace_back(std::move(job), std::move(outcome));
}

void Writer::answer(Answers& answers) {
  counters_.jobs.fetch_add(answers.size(), std::memory_order_relaxed);
  const std::string token = this->token();
  for (auto& [job, outcome] : answers) {
    if (auto* result = std::get_if<Result>(&outcome); result && result->route.verdict.kind != Class::read) result->token = token;
    job.work.done(std::move(outcome), std::move(job.work.reply));
  }
}

void Writer::begin(Job job) {
  const std::chrono::milliseconds asked(job.work.options.timeout_ms), longest = limits_.longest_transaction;
  if (asked > longest) return job.work.done(longer_than(longest, asked), std::move(job.work.reply));
  if (connection_.control("BEGIN IMMEDIATE") != SQLITE_OK) return job.work.done(connection_.error("BEGIN IMMEDIATE"), std::move(job.work.reply));
  const auto span = asked.count() > 0 ? asked : std::min(std::chrono::milliseconds(30'000), longest);
  transaction_ = Transaction{random_hex(16), job.work.options.caller, deadline_in(span), span};
  counters_.transactions.fetch_add(1, std::memory_order_relaxed);
  Result result;
  result.token = transaction_->handle;
  job.work.done(std::move(result), std::move(job.work.reply));
}

// The next job that the open transaction may run: its own, or none. Those of others wait; those that waited too long, or ask
// for a transaction that is over, are answered.
std::optional<Job> Writer::next_of_transaction(std::unique_lock<std::mutex>& lock) {
  const auto now = Clock::now();
  if (auto job = queue_.take_first([now](const Job& one) { return !one.work.options.tx.empty() || too_late(one, true, now); })) {
    auto late = too_late(*job, true, now);
    if (!late && job->work.options.tx == transaction_->handle && job->work.options.caller == transaction_->owner) return job;
    lock.unlock();
    job->work.done(late ? std::move(*late) : no_transaction(job->work.options), std::move(job->work.reply));
    lock.lock();
    return std::nullopt;  // the queue may have changed: look anew
  }
  constexpr std::chrono::milliseconds kLook{50};  // for waiters whose time is up
  const auto until = std::min(transaction_->deadline, queue_.empty() ? kNoDeadline : Clock::now() + kLook);
  if (!stopping_) changed_.wait_until(lock, until);
  return std::nullopt;
}

void Writer::in_transaction(std::unique_lock<std::mutex>& lock) {
  if (Clock::now() >= transaction_->deadline) {
    lock.unlock();
    counters_.abandoned.fetch_add(1, std::memory_order_relaxed);
    end("rolled back when its " + std::to_string(transaction_->span.count()) + " ms were over; pass timeout_ms to sql.begin for more");
    lock.lock();
    return;
  }
  auto job = next_of_transaction(lock);
  if (!job) return;
  lock.unlock();
  Work& work = job->work;
  switch (job->kind) {
    case Job::Kind::begin:
      work.done(Fault(Fault::Kind::bad_arguments, "sql.begin takes no transaction: they do not nest"), std::move(work.reply));
      break;
    case Job::Kind::commit: {
      if (connection_.control("COMMIT") == SQLITE_OK) {
        counters_.commits.fetch_add(1, std::memory_order_acq_rel);
        end("committed");
        Result result;
        result.token = token();
        result.route.node = result.route.role = "primary";
        result.route.verdict = {Class::write, "a commit"};
        result.route.waited_ms = ms_since(job->arrived);
        work.done(std::move(result), std::move(work.reply));
      } else {
        const Fault why = connection_.error("COMMIT");
        end("rolled back because its commit failed: " + why.message());
        work.done(why, std::move(work.reply));
      }
      break;
    }
    case Job::Kind::rollback:
      end("rolled back");
      work.done(Result{}, std::move(work.reply));
      break;
    case Job::Kind::statements: {
      connection_.control("SAVEPOINT job");
      Outcome outcome = attempt(*job);
      if (connection_.in_transaction()) {
        if (std::holds_alternative<Fault>(outcome)) connection_.control("ROLLBACK TO job");
        connection_.control("RELEASE job");
      } else {
        end("rolled back by one of its own statements");
      }
      work.done(std::move(outcome), std::move(work.reply));
    }
  }
  lock.lock();
}

void Writer::end(const std::string& how) {
  if (connection_.in_transaction()) connection_.control("ROLLBACK");
  ended_.push_front({transaction_->handle, transaction_->owner, how});
  if (ended_.size() > kRememberedEnds) ended_.pop_back();
  transaction_.reset();
}

Fault Writer::no_transaction(const Options& options) const {
  for (const Ended& ended : ended_)
    if (ended.handle == options.tx && ended.owner == options.caller) return Fault(Fault::Kind::conflict, "the transaction is over: it was " + ended.how);
  return Fault(Fault::Kind::not_found, "no transaction has the handle " + describe(Value(options.tx)).substr(7) + "; sql.begin gives one");
}

}  // namespace sluice::sql::sqlite
