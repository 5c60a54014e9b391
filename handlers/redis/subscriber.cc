#include "handlers/redis/subscriber.h"

#include <optional>

namespace sluice::redis {
namespace {

constexpr milliseconds kBeat{1000};  // a connection on which nothing is said is tried so often

}  // namespace

Subscriber::Listening::Listening(Subscriber& subscriber, std::string channel, UniqueFunction<void()> heard)
    : subscriber_(subscriber), channel_(std::move(channel)), heard_(std::move(heard)) {
  // Said again for each listener: the confirmation tells him that he missed nothing.
  subscriber_.link_.tell({"SUBSCRIBE", channel_});
  subscriber_.all_.emplace(channel_, this);
}

Subscriber::Listening::~Listening() {
  const auto [first, last] = subscriber_.all_.equal_range(channel_);
  for (auto each = first; each != last; ++each)
    if (each->second == this) {
      subscriber_.all_.erase(each);
      break;
    }
  if (!subscriber_.all_.contains(channel_)) subscriber_.link_.tell({"UNSUBSCRIBE", channel_});
}

Subscriber::Subscriber(Loop& home, const Address& address) : beat_(home), link_(home, address, {}) {
  link_.on_push([this](const Value& value) { heard(value); });
  link_.start([this] {
    link_.now({"PING"}, milliseconds(1000), [this](Answer answer) {
      if (auto* fault = std::get_if<Fault>(&answer)) return link_.cut(fault->message());
      link_.open();
      for (auto each = all_.begin(); each != all_.end(); each = all_.upper_bound(each->first)) link_.tell({"SUBSCRIBE", each->first});
      heard_since_ = true;
      beat();
    });
  });
}

void Subscriber::beat() {
  beat_.start(kBeat, [this] {
    if (!link_.is_open()) return;
    if (!std::exchange(heard_since_, false)) return link_.cut("it did not answer a PING");
    link_.tell({"PING"});
    beat();
  });
}

void Subscriber::heard(const Value& value) {
  heard_since_ = true;
  const auto* words = value.get_if<Value::Array>();
  if (!words || words->size() < 3) return;
  const auto* kind = (*words)[0].get_if<std::string>();
  const auto* channel = (*words)[1].get_if<std::string>();
  if (kind && channel && (*kind == "message" || *kind == "subscribe")) call(*channel);
}

void Subscriber::call(const std::string& channel) {
  std::vector<std::pair<Listening*, std::weak_ptr<bool>>> now;
  const auto [first, last] = all_.equal_range(channel);
  for (auto each = first; each != last; ++each) now.emplace_back(each->second, each->second->alive_);
  for (auto& [listening, alive] : now) {
    if (alive.expired()) continue;
    auto heard = std::move(listening->heard_);  // it may destroy the listening
    heard();
    if (!alive.expired()) listening->heard_ = std::move(heard);
  }
}

}  // namespace sluice::redis
