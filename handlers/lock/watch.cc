#include "handlers/lock/watch.h"

#include <algorithm>

namespace sluice::lock {

void News::add(Value::Struct event) {
  if (events_.size() == kMost) events_.pop_front();
  events_.emplace_back(std::move(event));
  deliver();
}

void News::end() {
  ended_ = true;
  deliver();
}

void News::pull(std::size_t most, bool once, milliseconds patience, Source::Receiver receive) {
  most_ = most;
  once_ = once;
  receiver_ = std::move(receive);
  if (once)
    timer_.start(patience, [this] {
      ended_ = true;
      deliver();
    });
  deliver();
}

void News::forget() {
  timer_.stop();
  receiver_.reset();
}

void News::deliver() {
  if (!receiver_ || (events_.empty() && !ended_)) return;
  Source::Batch batch;
  while (!events_.empty() && batch.items.size() < most_) {
    batch.items.push_back(std::move(events_.front()));
    events_.pop_front();
  }
  if (once_) ended_ = true;
  batch.end = ended_ && events_.empty();
  timer_.stop();
  auto receiver = std::exchange(receiver_, {});
  receiver(std::move(batch));  // last: it may destroy the Source, and this
}

void Ear::on_lost(const Sessions::Loss& loss) {
  Value::Struct event{{"event", "lost"}};
  for (auto& member : loss.value()) event.push_back(std::move(member));
  post(std::move(event), false);
}

void Ear::on_end(const char* why) { post({{"event", why}}, true); }

void Ear::post(Value::Struct event, bool last) {
  there_.post([news = std::weak_ptr<News>(news_), event = std::move(event), last]() mutable {
    const auto still = news.lock();
    if (!still) return;
    still->add(std::move(event));
    if (last) still->end();
  });
}

}  // namespace sluice::lock
