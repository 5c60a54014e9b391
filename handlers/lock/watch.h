#pragma once
// Watching a session: news of lost leases as a stream, or as one batch for a wire without streams. The session lives on one
// loop, whoever watches on another.

#include <deque>
#include <memory>

#include "handlers/lock/sessions.h"
#include "rpc/source.h"

namespace sluice::lock {

// What has happened and was not told yet. On the watcher's loop.
class News {
 public:
  explicit News(Loop& loop) : timer_(loop) {}
  void add(Value::Struct event);
  void end();
  void pull(std::size_t most, bool once, milliseconds patience, Source::Receiver);
  void forget();  // nobody pulls any more

 private:
  void deliver();

  static constexpr std::size_t kMost = 10'000;  // then the oldest are dropped: lock.ping still tells of them
  std::deque<Value> events_;
  bool ended_ = false, once_ = false;
  std::size_t most_ = 0;
  Source::Receiver receiver_;
  Timer timer_;
};

// Stands in the session and passes on what it hears. Made for each watcher; on the sessions' loop once it listens.
class Ear final : public Sessions::Listener {
 public:
  Ear(Loop& there, std::shared_ptr<News> news) : there_(there), news_(std::move(news)) {}

 private:
  void on_lost(const Sessions::Loss&) override;
  void on_end(const char* why) override;
  void post(Value::Struct event, bool last);
  Loop& there_;
  const std::shared_ptr<News> news_;
};

class WatchSource final : public Source {
 public:
  // `once`: ends with the first news, or with none after `patience`. `gone` runs when nobody watches any more, on whichever loop.
  WatchSource(std::shared_ptr<News> news, bool once, milliseconds patience, UniqueFunction<void()> gone)
      : news_(std::move(news)), once_(once), patience_(patience), gone_(std::move(gone)) {}
  ~WatchSource() override {
    news_->forget();
    gone_();
  }
  void pull(std::size_t most, Receiver receive) override { news_->pull(most, once_, patience_, std::move(receive)); }

 private:
  const std::shared_ptr<News> news_;
  const bool once_;
  const milliseconds patience_;
  UniqueFunction<void()> gone_;
};

}  // namespace sluice::lock
