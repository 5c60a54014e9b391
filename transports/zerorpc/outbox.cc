#include "transports/zerorpc/outbox.h"

namespace sluice::zerorpc {

std::string& Outbox::begin(const Address& to) {
  begun_at_ = bytes_.size();
  begun_lengths_ = lengths_.size();
  for (const std::string& frame : to) {
    bytes_ += frame;
    lengths_.push_back(frame.size());
  }
  lengths_.push_back(0);  // the delimiter
  payload_at_ = bytes_.size();
  return bytes_;
}

void Outbox::finish() {
  lengths_.push_back(written());
  counts_.push_back(lengths_.size() - begun_lengths_);
}

void Outbox::take_back() {
  bytes_.resize(begun_at_);
  lengths_.resize(begun_lengths_);
}

void Outbox::flush(Clock::time_point now, std::vector<std::string>& lost) {
  std::size_t at = 0, first = 0;
  for (std::size_t count : counts_) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += lengths_[first + i];
    const std::string_view bytes(bytes_.data() + at, size);
    const std::size_t* lengths = lengths_.data() + first;
    at += size;
    first += count;

    auto sent = Router::Sent::full;
    if (slow_.empty() || !slow_.contains(std::string(bytes.substr(0, lengths[0])))) sent = router_.send(bytes, lengths, count);
    if (sent == Router::Sent::sent || (sent == Router::Sent::full && keep(bytes, lengths, count, now))) continue;
    lost.emplace_back(bytes.substr(0, lengths[0]));
    forget(lost.back());
  }
  counts_.clear();
  lengths_.clear();
  bytes_.clear();
  if (bytes_.capacity() > 2 * kFlushBytes) bytes_.shrink_to_fit();  // one huge answer is not remembered for ever
}

bool Outbox::keep(std::string_view bytes, const std::size_t* lengths, std::size_t count, Clock::time_point now) {
  Slow& slow = slow_[std::string(bytes.substr(0, lengths[0]))];
  if (slow.messages.empty()) slow.since = now;
  if (slow.bytes + bytes.size() > limits_.caller_bytes || slow_bytes_ + bytes.size() > limits_.total_bytes) return false;
  try {
    slow.messages.push_back({std::string(bytes), {lengths, lengths + count}});
  } catch (const std::bad_alloc&) {
    return false;
  }
  slow.bytes += bytes.size();
  slow_bytes_ += bytes.size();
  return true;
}

void Outbox::forget(const std::string& identity) {
  auto found = slow_.find(identity);
  if (found == slow_.end()) return;
  slow_bytes_ -= found->second.bytes;
  slow_.erase(found);
}

void Outbox::retry(Clock::time_point now, std::vector<std::string>& lost, std::vector<std::string>& resumed) {
  for (auto at = slow_.begin(); at != slow_.end();) {
    Slow& slow = at->second;
    auto sent = Router::Sent::sent;
    while (!slow.messages.empty()) {
      const Message& message = slow.messages.front();
      sent = router_.send(message.bytes, message.lengths.data(), message.lengths.size());
      if (sent != Router::Sent::sent) break;
      slow.bytes -= message.bytes.size();
      slow_bytes_ -= message.bytes.size();
      slow.messages.pop_front();
      slow.since = now;
    }
    if (sent == Router::Sent::full && now - slow.since < limits_.patience) {
      ++at;
      continue;
    }
    (sent == Router::Sent::sent ? resumed : lost).push_back(at->first);
    slow_bytes_ -= slow.bytes;
    at = slow_.erase(at);
  }
}

}  // namespace sluice::zerorpc
