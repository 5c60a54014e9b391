#include "handlers/lock/zookeeper/record.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "handlers/zookeeper/path.h"

namespace sluice::lock::zookeeper {
namespace {

// Fields of a line stand between blanks; a text is written as the name of a node, and an empty one as a dot.
std::string field(std::string_view text) { return text.empty() ? "." : sluice::zookeeper::node_name(text); }
std::string field(const Mark& mark) { return (mark.of_this_write ? "+" : "") + std::to_string(mark.token); }

bool take(std::istream& in, std::string& text) {
  std::string word;
  if (!(in >> word)) return false;
  if (word == ".") return true;
  auto plain = sluice::zookeeper::plain_name(word);
  if (!plain) return false;
  text = std::move(*plain);
  return true;
}

bool take(std::istream& in, Mark& mark, std::int64_t zxid) {
  std::string word;
  if (!(in >> word)) return false;
  const bool of_this_write = word.front() == '+';
  const char* begin = word.data() + (of_this_write ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, word.data() + word.size(), mark.token);
  if (error != std::errc() || end != word.data() + word.size()) return false;
  if (of_this_write) mark.token += zxid;
  return true;
}

}  // namespace

std::string write(const Record& record) {
  std::string text = "1 " + field(record.newest) + " " + std::to_string(record.wanted_until) + " " + field(record.wanted_by) + " " +
                     field(record.change) + "\n";
  for (const Lease& lease : record.leases) {
    text += field(lease.owner) + " " + field(lease.nonce) + " " + field(lease.mark);
    for (const std::int64_t number : {lease.slots, lease.count, lease.granted, lease.expires, lease.ttl})
      text += " " + std::to_string(number);
    text += "\n";
  }
  return text;
}

std::optional<Record> read(std::string_view text, std::int64_t zxid) {
  Record record;
  if (text.empty()) return record;  // of a node that was just made
  std::istringstream in{std::string(text)};
  int format = 0;
  if (!(in >> format) || format != 1 || !take(in, record.newest, zxid) || !(in >> record.wanted_until) || !take(in, record.wanted_by) ||
      !take(in, record.change))
    return std::nullopt;
  while (in >> std::ws && !in.eof()) {
    Lease lease;
    if (!take(in, lease.owner) || !take(in, lease.nonce) || !take(in, lease.mark, zxid) ||
        !(in >> lease.slots >> lease.count >> lease.granted >> lease.expires >> lease.ttl))
      return std::nullopt;
    record.leases.push_back(std::move(lease));
  }
  return record;
}

void fill(Record& record, std::int64_t zxid) {
  auto fill = [&](Mark& mark) {
    if (std::exchange(mark.of_this_write, false)) mark.token += zxid;
  };
  fill(record.newest);
  for (Lease& lease : record.leases) fill(lease.mark);
}

void prune(Record& record, Time now) {
  std::erase_if(record.leases, [&](const Lease& lease) { return lease.expires <= now.earliest; });
}

bool holds(const Record& record, const Acquire& acquire) {
  return std::ranges::any_of(record.leases,
                             [&](const Lease& lease) { return lease.owner == acquire.owner && lease.slots == acquire.slots; });
}

bool blocked(const Record& record, const Acquire& acquire, Time now) {
  if (holds(record, acquire)) return false;
  if (acquire.reentry_only) return true;
  if (std::ranges::any_of(record.leases, [&](const Lease& lease) { return lease.slots != acquire.slots || lease.owner == acquire.owner; }))
    return true;
  if (static_cast<std::int64_t>(record.leases.size()) >= acquire.slots) return true;
  return acquire.slots == kShared && record.wanted_until > now.latest && record.wanted_by != acquire.owner;
}

// Above all that went before, also when someone lowered the epoch.
Mark next(const Record& record, std::int64_t epoch, std::int64_t zxid) {
  if (first_token(epoch) + zxid >= record.newest.token) return {first_token(epoch), true};
  return {record.newest.token + 1, false};
}

void grant(Record& record, const Acquire& acquire, Time now, std::int64_t epoch, std::int64_t zxid) {
  const std::int64_t ttl = acquire.ttl.count(), expires = now.latest + ttl;
  if (record.wanted_by == acquire.owner) record.wanted_until = 0;
  for (Lease& lease : record.leases)
    if (lease.owner == acquire.owner) {
      if (lease.nonce != acquire.nonce) ++lease.count;
      lease.nonce = acquire.nonce;
      lease.expires = std::max(lease.expires, expires);
      lease.ttl = std::max(ttl, lease.expires - now.latest);
      return;
    }
  record.newest = next(record, epoch, zxid);
  record.leases.push_back({acquire.owner, acquire.nonce, record.newest, acquire.slots, 1, now.latest, expires, ttl});
}

bool intend(Record& record, const Acquire& acquire, Time now) {
  const bool readers = std::ranges::any_of(record.leases, [](const Lease& lease) { return lease.slots == kShared; });
  if (acquire.intent.count() == 0 || !readers || holds(record, acquire)) return false;
  // Each write of the record wakes all who wait for it: two writers who told of themselves at each look would never rest.
  const std::int64_t left = record.wanted_until - now.earliest;
  if (4 * left > 3 * acquire.intent.count()) return false;
  record.wanted_until = now.earliest + acquire.intent.count();  // it is no lease: rather too short than too long
  record.wanted_by = acquire.owner;
  return true;
}

std::int64_t remaining(const Lease& lease, Time now) { return std::clamp<std::int64_t>(lease.expires - now.earliest, 0, lease.ttl); }

Held judge(const std::vector<Record>& records, const Acquire& acquire, Time now) {
  Held held{acquire.reentry_only ? Held::Reason::not_yours : Held::Reason::held, {}};
  const Lease* in_the_way = nullptr;
  auto rank = [&](const Lease& lease) { return std::pair(lease.slots == kShared && acquire.slots == kShared, lease.expires); };
  for (std::size_t i = 0; i < records.size(); ++i)
    for (const Lease& lease : records[i].leases) {
      const bool own = lease.owner == acquire.owner;
      if (own && lease.slots == acquire.slots) continue;
      if (own) held.reason = Held::Reason::other_mode;
      const bool own_before = in_the_way && in_the_way->owner == acquire.owner;
      if (in_the_way && !own && (own_before || rank(*in_the_way) <= rank(lease))) continue;
      in_the_way = &lease;
      held.holder = {acquire.names[i],
                     lease.owner,
                     lease.mark.token,
                     lease.slots,
                     lease.count,
                     milliseconds(remaining(lease, now)),
                     milliseconds(std::max<std::int64_t>(0, now.earliest - lease.granted))};
    }
  return held;
}

Lease* find(Record& record, const sluice::lock::Lease& lease) {
  const auto found =
      std::ranges::find_if(record.leases, [&](const Lease& each) { return each.owner == lease.owner && each.mark.token == lease.token; });
  return found == record.leases.end() ? nullptr : &*found;
}

}  // namespace sluice::lock::zookeeper
