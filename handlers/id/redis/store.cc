#include "handlers/id/redis/store.h"

#include <algorithm>

#include "handlers/id/redis/answers.h"
#include "handlers/id/redis/scripts.h"

namespace sluice::id {
namespace {

using redis::Words;

const std::string kServer = "sluice:ids";  // what redis::Guard keeps there
std::string space_key(const std::string& space) { return "sluice:id:space:" + space; }
std::string tag_key(const std::string& tag) { return "sluice:id:tag:" + tag; }
std::string sequence_key(const std::string& tag) { return "sluice:id:sequence:" + tag; }

}  // namespace

RedisStore::RedisStore(Loop& home, const redis::Address& address, Options options)
    : options_(std::move(options)), top_(home, options_.file + "-marks", HighMark::Sharing::alone), link_(home, address, {}), guard_(link_, kServer, options_.file, 0) {
  guard_.start([this] { raise(); });
}

// Before anything else is asked of the server. As a text, not by its hash: one that is sent again would come after what follows it.
void RedisStore::raise() {
  const std::int64_t top = top_.point().mark_ms;
  if (top == 0) return;
  link_.now({"EVAL", scripts().raise.text, "1", guard_.key(), guard_.id(), std::to_string(top)}, options_.limit, [this](redis::Answer answer) {
    if (const auto* fault = std::get_if<Fault>(&answer)) link_.cut(fault->message());
  });
}

std::optional<Fault> RedisStore::will_last(std::int64_t ms) {
  try {
    guard_.will_last(redis::milliseconds(ms));
    return std::nullopt;
  } catch (const Fault& fault) {
    return fault;
  }
}

template <class Outcome>
UniqueFunction<void(Outcome)> RedisStore::remembered(UniqueFunction<void(Outcome)> done) {
  return [this, done = std::move(done)](Outcome outcome) mutable { top_.keep(std::move(outcome), std::move(done)); };
}

void RedisStore::claim(Claim claim, UniqueFunction<void(Claimed)> done) {
  if (const auto fault = will_last(std::max(claim.lease_ms, claim.window_ms))) return done(*fault);
  Words arguments{claim.layout,
                  claim.gateway,
                  claim.instance,
                  std::to_string(claim.workers),
                  std::to_string(claim.floor_ms),
                  std::to_string(claim.window_ms),
                  std::to_string(claim.lease_ms)};
  Words keys{space_key(claim.space)};
  auto read = [this, claim = std::move(claim)](const Told& told) -> Claimed {
    if (told.is("closed")) return closed(link_.address().name, told);
    if (told.is("layout")) return another_layout(claim, told.text(1));
    if (told.is("exhausted")) return Exhausted{std::max<std::int64_t>(told.number(1), 1)};
    top_.raise({.mark_ms = told.number(5)});
    return Tenure{told.number(1), told.number(2), told.number(3), told.number(4)};
  };
  guard_.call(scripts().claim, std::move(keys), std::move(arguments), options_.limit, reading(remembered(std::move(done)), std::move(read)));
}

void RedisStore::keep(const redis::Script& script, Extend extend, Words more, UniqueFunction<void(Extended)> done) {
  Words arguments{extend.gateway, extend.instance, std::to_string(extend.worker), std::to_string(extend.epoch), std::to_string(extend.mark_ms)};
  std::ranges::move(more, std::back_inserter(arguments));
  auto read = [this](const Told& told) -> Extended {
    if (told.is("closed")) return closed(link_.address().name, told);
    top_.raise({.mark_ms = told.number(2)});
    return Kept{told.number(1) == 1};
  };
  guard_.call(script, {space_key(extend.space)}, std::move(arguments), options_.limit, reading(std::move(done), read));
}

void RedisStore::extend(Extend extend, UniqueFunction<void(Extended)> done) {
  if (const auto fault = will_last(extend.lease_ms)) return done(*fault);
  Words lease{std::to_string(extend.lease_ms)};
  keep(scripts().extend, std::move(extend), std::move(lease), remembered(std::move(done)));
}

void RedisStore::release(Extend extend, UniqueFunction<void(Extended)> done) { keep(scripts().release, std::move(extend), {}, std::move(done)); }

void RedisStore::create(Tag tag, UniqueFunction<void(Creation)> done) {
  Words arguments{std::to_string(tag.start), std::to_string(tag.step), std::to_string(tag.delta), tag.anew ? "1" : "0"};
  Words keys{tag_key(tag.name)};
  auto read = [this, name = std::move(tag.name)](const Told& told) -> Creation {
    if (told.is("forgotten")) return forgotten_tag(link_.address().name, name, told.text(1));
    return Created{told.is("created"), {name, told.number(1), told.number(2), told.number(3)}};
  };
  guard_.call(scripts().create, std::move(keys), std::move(arguments), options_.limit, reading(std::move(done), std::move(read)));
}

void RedisStore::reserve(std::string tag, std::int64_t count, UniqueFunction<void(Reserved)> done) {
  Words keys{tag_key(tag)};
  auto read = [this, tag = std::move(tag)](const Told& told) -> Reserved {
    if (told.is("forgotten")) return forgotten_tag(link_.address().name, tag, told.text(1));
    if (told.is("unknown")) return unknown_tag(tag);
    if (told.is("spent")) return spent_tag(tag, told.number(1));
    return Segment{told.number(1), told.number(2), told.number(3), told.number(4)};
  };
  guard_.call(scripts().reserve, std::move(keys), {std::to_string(count)}, options_.limit, reading(std::move(done), std::move(read)));
}

void RedisStore::sequence(std::string tag, UniqueFunction<void(Number)> done) {
  Words keys{sequence_key(tag)};
  auto read = [this, tag = std::move(tag)](const Told& told) -> Number {
    if (told.is("forgotten")) return forgotten_sequence(link_.address().name, tag, sequence_key(tag), told);
    if (told.is("spent")) return spent_tag(tag, told.number(1));
    return told.number(1);
  };
  guard_.call(scripts().sequence, std::move(keys), {}, options_.limit, reading(std::move(done), std::move(read)));
}

}  // namespace sluice::id
