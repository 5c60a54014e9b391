#include "handlers/redis/guard.h"

#include <algorithm>
#include <random>

namespace sluice::redis {
namespace {

constexpr milliseconds kPatience{2000};  // the link's own comes first
constexpr std::int64_t kUnheardOf = 10'000;  // milliseconds: lock.ttl_ms, if it is left alone

const Script kIntroduce(R"(
local run, durable, known_id, known_epoch, known_longest, least_epoch, fresh, above = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local m = redis.call('HMGET', KEYS[1], 'id', 'run', 'epoch', 'longest', 'open', 'durable', 'counter')
local id, epoch, longest, open = m[1], tonumber(m[3] or 0), tonumber(m[4] or 0), tonumber(m[5] or 0)
local remembers = id and (m[2] == run or (m[6] == '1' and durable == '1'))
local agrees = epoch >= least_epoch and (epoch > known_epoch or (epoch == known_epoch and id == known_id))
if remembers and agrees then
  if now < open and known_longest > longest then open = open + known_longest - longest end
  longest = math.max(longest, known_longest)
else
  id, epoch, longest = fresh, math.max(epoch, known_epoch, least_epoch, above) + 1, math.max(longest, known_longest)
  open = longest > 0 and now + longest or 0
  -- Even a gateway that remembers nothing begins above what was given at less than one in a millisecond.
  redis.call('HSET', KEYS[1], 'counter', string.format('%.0f', math.max(tonumber(m[7] or 0), now)))
end
redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'epoch', epoch, 'longest', longest, 'open', string.format('%.0f', open), 'durable', durable)
return {id, epoch, longest}
)");

constexpr const char* kPreamble = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local server = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'open', 'longest', 'counter')
if server[1] ~= ARGV[1] then return {'lost'} end
local function lasts(ttl)
  if ttl > tonumber(server[4]) then redis.call('HSET', KEYS[1], 'longest', string.format('%.0f', ttl)) end
end
)";

std::string line_of(const std::string& text, std::string_view key) {
  const auto at = text.find(key);
  if (at == text.npos) return "";
  return text.substr(at + key.size(), text.find('\r', at) - at - key.size());
}

// CONFIG GET answers [name, value]; who may not ask takes it for not durable.
bool says(const Answer& answer, std::string_view expected) {
  const auto* value = std::get_if<Value>(&answer);
  const auto* pair = value ? value->get_if<Value::Array>() : nullptr;
  const auto* text = pair && pair->size() == 2 ? (*pair)[1].get_if<std::string>() : nullptr;
  return text && *text == expected;
}

std::string random_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 32; ++i) id += "0123456789abcdef"[random() % 16];
  return id;
}

}  // namespace

Script guarded(const std::string& text) { return Script(kPreamble + text); }

Guard::Guard(Link& link, std::string key, std::string file, std::int64_t epoch)
    : link_(link), key_(std::move(key)), epoch_(epoch), memory_(std::move(file)) {}

void Guard::start(UniqueFunction<void()> before_open) {
  before_open_ = std::move(before_open);
  link_.start([this] { greet(); });
}

void Guard::greet() {
  link_.now({"INFO", "server"}, kPatience, [this](Answer answer) {
    const auto* value = std::get_if<Value>(&answer);
    const auto* text = value ? value->get_if<std::string>() : nullptr;
    run_id_ = text ? line_of(*text, "run_id:") : "";
  });
  link_.now({"CONFIG", "GET", "appendonly"}, kPatience, [this](Answer answer) { durable_ = says(answer, "yes"); });
  link_.now({"CONFIG", "GET", "appendfsync"}, kPatience, [this](Answer answer) {
    durable_ = durable_ && says(answer, "always");
    introduce();
  });
}

void Guard::introduce() {
  if (run_id_.empty()) return link_.cut("it does not tell its run_id (INFO server)");
  const Known& known = memory_.known();
  // On a server that was never met nothing was granted yet, though a lease may be asked for already. On one that was, other
  // gateways may have granted leases that this one has not heard of.
  const bool met = !known.id.empty() && known.id != "-";
  const std::int64_t longest = met ? std::max(known.longest, kUnheardOf) : 0;
  link_.now(kIntroduce, {key_},
            {run_id_, durable_ ? "1" : "0", known.id, std::to_string(known.epoch), std::to_string(longest), std::to_string(epoch_),
             random_id(), std::to_string(met ? above_ : 0)},
            kPatience, [this](Answer answer) { agreed(answer); });
}

void Guard::agreed(const Answer& answer) {
  if (auto* fault = std::get_if<Fault>(&answer)) return link_.cut(fault->message());
  const auto& said = *std::get<Value>(answer).get_if<Value::Array>();
  try {
    memory_.learn({*said[0].get_if<std::string>(), *said[1].get_if<std::int64_t>(), *said[2].get_if<std::int64_t>()});
  } catch (const Fault& fault) {
    return link_.cut(fault.message());
  }
  if (before_open_) before_open_();
  link_.open();
}

void Guard::will_last(milliseconds ttl) {
  const Known& known = memory_.known();
  if (ttl.count() <= known.longest) return;
  constexpr std::int64_t kStep = 5000;  // few writes, though every lease is a little longer than the one before
  memory_.learn({known.id.empty() ? "-" : known.id, known.epoch, (ttl.count() + kStep - 1) / kStep * kStep});
}

// A script that found another id makes everything begin anew, with a new connection.
void Guard::call(const Script& script, Words keys, Words arguments, milliseconds limit, Done done, int attempts) {
  Words all_keys{key_}, all_arguments{id()};
  all_keys.insert(all_keys.end(), keys.begin(), keys.end());
  all_arguments.insert(all_arguments.end(), arguments.begin(), arguments.end());
  link_.call(script, std::move(all_keys), std::move(all_arguments), limit,
             [this, id = id(), &script, keys = std::move(keys), arguments = std::move(arguments), limit, done = std::move(done), attempts](Answer answer) mutable {
               const auto* value = std::get_if<Value>(&answer);
               const auto* told = value ? value->get_if<Value::Array>() : nullptr;
               const auto* word = told && !told->empty() ? told->front().get_if<std::string>() : nullptr;
               if (!word || *word != "lost") return done(std::move(answer));
               if (this->id() == id) link_.cut("its data were lost, or changed hands");
               if (attempts == 0) return done(Fault(Fault::Kind::unavailable, "Redis at " + link_.address().name + " loses its data again and again"));
               call(script, std::move(keys), std::move(arguments), limit, std::move(done), attempts - 1);
             });
}

}  // namespace sluice::redis
