#include "gateway/access/watch.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "gateway/json.h"

namespace sluice::access {
namespace {

const Value* field(const Value& answer, std::string_view name) { return answer.get_if<Value::Struct>() ? answer.find(name) : nullptr; }

// Of one statement, or of all in a batch.
std::optional<std::int64_t> affected_by(const Value& answer) {
  if (const Value* one = field(answer, "affected"))
    if (const auto* count = one->get_if<std::int64_t>()) return *count;
  const Value* results = field(answer, "results");
  const auto* list = results ? results->get_if<Value::Array>() : nullptr;
  if (!list) return std::nullopt;
  std::int64_t sum = 0;
  for (const Value& result : *list) sum += affected_by(result).value_or(0);
  return sum;
}

std::int64_t rows_of(const Value& answer) {
  const Value* rows = field(answer, "rows");
  const auto* list = rows ? rows->get_if<Value::Array>() : nullptr;
  return list ? static_cast<std::int64_t>(list->size()) : 0;
}

}  // namespace

class Metered;

class Watch final : public Responder, public std::enable_shared_from_this<Watch> {
 public:
  Watch(Reply outer, Watched call, Journal* journal, OpenStreams& streams)
      : Responder(outer.loop()), outer_(std::move(outer)), call_(std::move(call)), journal_(journal), streams_(streams), started_(Clock::now()), time_(loop()) {
    set_principal(outer_.principal());
    const std::int64_t ms = call_.user->role().call_ms;
    set_deadline(ms > 0 ? std::min(outer_.deadline(), deadline_in(std::chrono::milliseconds(ms), started_)) : outer_.deadline());
    call_.user->usage().in_flight.fetch_add(1, std::memory_order_relaxed);
  }
  ~Watch() override { leave(); }

  void start() {
    outer_.on_cancel([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->cancel();
    });
    if (const std::int64_t ms = call_.user->role().call_ms; ms > 0)
      time_.start(std::chrono::milliseconds(ms), [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->late();
      });
  }

  void set_eager(bool eager) noexcept override {
    if (outer_) outer_.set_eager(eager);
  }

  void respond(std::uint64_t, Outcome&& outcome) override;

  const Role& role() const noexcept { return call_.user->role(); }

  // The call is over: it is no more in flight, and its time does not count.
  void leave() {
    time_.stop();
    if (!std::exchange(left_, true)) call_.user->usage().in_flight.fetch_sub(1, std::memory_order_relaxed);
  }

  Fault too_much(const char* what, std::int64_t most) const {
    return Fault(Fault::Kind::too_large, "the answer of " + call_.method.name + " has more than the " + std::to_string(most) + " " + what + " that " +
                                             call_.user->name() + " may get at a time (role answer_" + what + "); the call has run: ask for less");
  }

  // A line, if this is to have one.
  void audit(const Outcome& outcome) const {
    if (!journal_) return;
    const auto* fault = std::get_if<Fault>(&outcome);
    const auto* value = std::get_if<Value>(&outcome);
    const bool denied = fault && (fault->kind() == Fault::Kind::denied || fault->kind() == Fault::Kind::unauthenticated);
    if (!denied && !call_.writes && !(value && field(*value, "token"))) return;
    char ms[32];
    std::snprintf(ms, sizeof ms, "%.3f", std::chrono::duration<double, std::milli>(Clock::now() - started_).count());
    std::string more = call_.arguments.empty() ? "" : ",\"arguments\":\"" + call_.arguments + "\"";
    if (value) {
      if (const auto affected = affected_by(*value)) more += ",\"affected\":" + std::to_string(*affected);
      if (const Value* route = field(*value, "route")) {
        if (const Value* node = field(*route, "node")) more += ",\"node\":" + to_json(*node).dump();
        if (field(*route, "replayed")) more += ",\"replayed\":true";
      }
    }
    journal_->add(audit_line(call_.user->name(), call_.method.name, call_.transport, fault ? codes(fault->kind()).name : "ok", more + ",\"ms\":" + ms));
  }

 private:
  friend class Metered;
  friend class OpenStreams;

  void late();

  void finish(Reply& outer, Outcome&& outcome) {
    audit(outcome);
    if (!stream_) leave();
    outer.send(std::move(outcome));
  }

  void limit(Outcome& outcome) const {
    const auto* value = std::get_if<Value>(&outcome);
    if (!value) return;
    if (role().answer_rows > 0 && rows_of(*value) > role().answer_rows)
      outcome = too_much("rows", role().answer_rows);
    else if (role().answer_bytes > 0 && static_cast<std::int64_t>(footprint(*value)) > role().answer_bytes)
      outcome = too_much("bytes", role().answer_bytes);
  }

  Reply outer_;
  const Watched call_;
  Journal* const journal_;
  OpenStreams& streams_;
  const Clock::time_point started_;
  Timer time_;
  bool left_ = false;
  Metered* stream_ = nullptr;  // what the call was answered with, while it lives; it holds us
};

// A stream as its user may have it: so many rows and bytes, and no longer than the call's time.
class Metered final : public Source {
 public:
  Metered(std::shared_ptr<Watch> watch, std::unique_ptr<Source> source) : watch_(std::move(watch)), source_(std::move(source)) {
    watch_->stream_ = this;
    watch_->streams_.add(watch_);
  }
  ~Metered() override {
    watch_->streams_.remove(*watch_);
    watch_->stream_ = nullptr;
    watch_->leave();
  }

  void pull(std::size_t most, Receiver receive) override {
    receive_ = std::move(receive);
    if (!source_) return tell({{}, true, broken_});
    source_->pull(most, [this](Batch batch) {
      measure(batch);
      tell(std::move(batch));
    });
  }

  // Ends it, now or at the next pull. Not from within the source.
  void break_off(Fault why) {
    source_.reset();
    broken_ = std::move(why);
    watch_->leave();
    if (receive_) tell({{}, true, broken_});
  }

 private:
  void measure(Batch& batch) {
    const Role& role = watch_->role();
    for (std::size_t i = 0; i < batch.items.size(); ++i) {
      if (role.answer_bytes > 0) bytes_ += static_cast<std::int64_t>(footprint(batch.items[i]));
      const bool rows = role.answer_rows > 0 && ++rows_ > role.answer_rows;
      if (!rows && (role.answer_bytes == 0 || bytes_ <= role.answer_bytes)) continue;
      batch.items.resize(i);
      batch.end = true;
      batch.fault = rows ? watch_->too_much("rows", role.answer_rows) : watch_->too_much("bytes", role.answer_bytes);
      return;
    }
  }

  // Who receives may destroy us: it is the last thing done.
  void tell(Batch batch) {
    if (batch.fault) watch_->audit(Outcome(*batch.fault));
    if (batch.end) watch_->leave();
    auto receive = std::exchange(receive_, {});
    receive(std::move(batch));
  }

  const std::shared_ptr<Watch> watch_;
  std::unique_ptr<Source> source_;
  Receiver receive_;  // of the pull that is under way
  std::optional<Fault> broken_;
  std::int64_t rows_ = 0, bytes_ = 0;
};

void Watch::respond(std::uint64_t, Outcome&& outcome) {
  if (!outer_) return;  // its time ran out
  limit(outcome);
  if (auto* source = std::get_if<std::unique_ptr<Source>>(&outcome)) outcome = std::make_unique<Metered>(shared_from_this(), std::move(*source));
  finish(outer_, std::move(outcome));
}

void Watch::late() {
  Fault fault(Fault::Kind::deadline_exceeded, call_.method.name + " took longer than the " + std::to_string(role().call_ms) + " ms that " + call_.user->name() +
                                                  " may use (role call_ms) and was cancelled");
  if (stream_) return stream_->break_off(std::move(fault));
  Reply outer = std::move(outer_);  // what is cancelled may answer at once: it is too late for that
  cancel();
  finish(outer, std::move(fault));
}

void OpenStreams::add(const std::shared_ptr<Watch>& watch) {
  {
    std::lock_guard lock(mutex_);
    open_.emplace(watch.get(), std::pair(&watch->loop(), watch));
  }
  judge(watch);
}

void OpenStreams::remove(const Watch& watch) {
  std::lock_guard lock(mutex_);
  open_.erase(&watch);
}

void OpenStreams::judge(std::weak_ptr<Watch> of) const {
  const auto watch = of.lock();
  if (!watch || !watch->stream_) return;
  if (auto fault = judge_(*watch->call_.user, watch->call_.method)) watch->stream_->break_off(std::move(*fault));
}

void OpenStreams::judge_all() {
  std::lock_guard lock(mutex_);
  for (const auto& [key, at] : open_) at.first->post([this, watch = at.second] { judge(watch); });
}

Reply watch(Reply outer, Watched call, Journal* journal, OpenStreams& streams) {
  auto watch = std::make_shared<Watch>(std::move(outer), std::move(call), journal, streams);
  watch->start();
  return Reply(std::move(watch));
}

std::string audit_line(std::string_view user, std::string_view method, std::string_view transport, std::string_view outcome, std::string_view more) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char at[40], millis[8];
  std::strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(millis, sizeof millis, ".%03d", static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000));
  // Names that callers choose are quoted as JSON: none can begin a line of his own.
  auto quoted = [](std::string_view text) { return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace); };
  return "{\"at\":\"" + std::string(at) + millis + "Z\",\"user\":" + quoted(user) + ",\"method\":" + quoted(method) + ",\"over\":" + quoted(transport) +
         ",\"outcome\":" + quoted(outcome) + std::string(more) + "}";
}

}  // namespace sluice::access
