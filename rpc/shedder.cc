#include "rpc/shedder.h"

#include <algorithm>
#include <cmath>

namespace sluice {
namespace {

using std::chrono::milliseconds;

constexpr double kSmooth = 1.0 / 16;
constexpr double kOutlier = 8;            // times the mean: longer ones count as that
constexpr milliseconds kSettled{50};      // a queue that has been busy for so long says what is to come
constexpr std::size_t kMeasured = 4;      // and has let so many go
constexpr std::int64_t kNoise = 4;        // calls
constexpr int kPatience = 10;             // a span lasts so many times its least, when few are served
constexpr milliseconds kFirstTry{100}, kLastTry{5000};

}  // namespace

void Shedder::count(std::size_t waiting, Clock::time_point now) noexcept {
  if (waiting == 0) {
    busy_since_ = now;
    ended_ = 0;
    if (now - started_ > kSettled + Duration(static_cast<std::int64_t>(4 * mean_ns_))) shedding_ = false;  // nothing runs either
  }
  for (Span* span : {&short_, &long_}) {
    ++span->came;
    look(*span, now);
  }
}

Shedder::Verdict Shedder::judge(std::size_t waiting, std::size_t ahead, Deadline deadline, Clock::time_point now) const noexcept {
  if (waiting >= limits_.waiting) return Verdict::full;
  if (too_late(ahead, deadline, now)) return Verdict::too_late;
  if (shedding_ && expected(ahead) > target()) return Verdict::standing;
  return Verdict::take;
}

void Shedder::start(Duration waited, Clock::time_point now) noexcept {
  started_ = now;
  for (Span* span : {&short_, &long_}) {
    ++span->served;
    span->shortest = std::min(span->shortest, waited);
    look(*span, now);
  }
}

void Shedder::end(Duration took, std::size_t calls) noexcept {
  if (calls == 0) return;
  ended_ += calls;
  double each = static_cast<double>(took.count()) / static_cast<double>(calls);
  const double weight = calls == 1 ? kSmooth : 1 - std::pow(1 - kSmooth, static_cast<double>(calls));
  if (mean_ns_ == 0) {
    mean_ns_ = each;
    return;
  }
  each = std::min(each, kOutlier * mean_ns_);
  deviation_ns_ += weight * (std::abs(each - mean_ns_) - deviation_ns_);
  mean_ns_ += weight * (each - mean_ns_);
}

void Shedder::look(Span& span, Clock::time_point now) noexcept {
  const auto lasted = now - span.since;
  const bool enough = span.served >= span.few || shedding_ || lasted >= kPatience * span.least;
  if (lasted < span.least || !enough) return;
  // The first one of all, or one with an idle time in it, says nothing.
  const bool telling = lasted < 2 * kPatience * span.least;
  const auto more = static_cast<double>(span.came - span.served);
  const bool grows = telling && span.served > 0 && span.shortest > target() && more > std::max<double>(kNoise, span.margin * static_cast<double>(span.served));
  if (!shedding_)
    shedding_ = limits_.target.count() > 0 && grows && span.grew;
  else if (&span == &long_)  // by what is asked for, and not by what waits: that is kept short now
    shedding_ = telling && static_cast<double>(span.came) * mean_ns_ >= servers_ * static_cast<double>(std::chrono::nanoseconds(lasted).count());
  span = {.least = span.least, .few = span.few, .margin = span.margin, .since = now};
  span.grew = grows;
}

Shedder::Duration Shedder::target() const noexcept { return std::max<Duration>(limits_.target, Duration(static_cast<std::int64_t>(mean_ns_ / 2))); }

Shedder::Duration Shedder::expected(std::size_t calls) const noexcept {
  return Duration(static_cast<std::int64_t>(static_cast<double>(calls) * mean_ns_ / servers_));
}

bool Shedder::too_late(std::size_t ahead, Deadline deadline, Clock::time_point now) const noexcept {
  if (deadline == kNoDeadline) return false;
  if (now >= deadline) return true;
  if (ended_ < kMeasured || now - busy_since_ < kSettled) return false;
  // The sum of so many independent times; two deviations below it.
  const auto n = static_cast<double>(ahead);
  const double least = (n * mean_ns_ - 2 * std::sqrt(n) * deviation_ns_) / servers_;
  return least > static_cast<double>(std::chrono::nanoseconds(deadline - now).count());
}

Fault Shedder::fault(Verdict verdict, const std::string& what, const std::string& bound, std::size_t waiting) const {
  const auto again = std::clamp(std::chrono::ceil<milliseconds>(expected(waiting)), kFirstTry, kLastTry);
  std::string why;
  switch (verdict) {
    case Verdict::too_late: why = std::to_string(waiting) + " " + what + " wait already, and this one's time would be up before its turn; it has not run"; break;
    case Verdict::standing: why = "more " + what + " come than can be served, and this one would have to wait for too long (limits.queue_ms)"; break;
    default: why = std::to_string(waiting) + " " + what + " wait already (" + bound + ")";
  }
  return Fault(Fault::Kind::overloaded, why + "; try again in a moment", {{"retry_after_ms", again.count()}});
}

}  // namespace sluice
