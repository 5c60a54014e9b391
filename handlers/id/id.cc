#include "handlers/id/id.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "handlers/id/digits.h"
#include "rpc/nearest.h"

namespace sluice::id {
namespace {

Value form(std::int64_t id, As as) { return as == As::integer ? Value(id) : decimal(id); }

// The ids of a block as the caller wants them; a range is the rows of ids that follow each other: [first, last] of each tick.
Value::Array block_answer(const Generator& from, const Snowflake::Block& block, As as) {
  Value::Array out;
  if (as != As::range) out.reserve(static_cast<std::size_t>(block.count));
  const std::int64_t per_tick = from.space().layout.per_tick();
  for (std::int64_t at = 0; at < block.count;) {
    const std::int64_t row = std::min(block.count - at, per_tick - (block.first + at) % per_tick);
    const std::int64_t first = from.id(block, at);
    at += row;
    if (as == As::range) {
      out.emplace_back(Value::Array{decimal(first), decimal(first + row - 1)});
    } else if (as == As::integer) {
      for (std::int64_t i = 0; i < row; ++i) out.emplace_back(first + i);
    } else {
      Digits digits(first);
      for (std::int64_t i = 0; i < row; ++i, digits.count_up()) out.emplace_back(std::string(digits.text()));
    }
  }
  return out;
}

// The same of a tag's numbers: [first, last, delta] of each row.
Value rows_answer(const Buffers::Rows& rows, As as) {
  Value::Array out;
  for (const Segment& row : rows) {
    if (as == As::range) {
      out.emplace_back(Value::Array{decimal(row.first), decimal(row.first + (row.count - 1) * row.delta), row.delta});
      continue;
    }
    for (std::int64_t i = 0; i < row.count; ++i) out.push_back(form(row.first + i * row.delta, as));
  }
  return out;
}

DateTime time_of(std::int64_t unix_ms) { return DateTime(std::chrono::milliseconds(unix_ms)); }

}  // namespace

Id::Id(Loop& home, Store& store, Stamps* redis, std::vector<Space> spaces, std::vector<Hider> keys, Limits limits)
    : home_(home), store_(store), redis_(redis), keys_(std::move(keys)), limits_(std::move(limits)), tags_(store, home, limits_.tags) {
  for (Space& space : spaces) generators_.push_back(std::make_unique<Generator>(std::move(space), store, home, limits_.generator));
}

std::vector<Method> Id::methods() {
  const std::string as = " Options: space, as (\"text\", the default, or \"int\").";
  return {
      method("next", this, &Id::next, {"options"},
             "The next id of a space: 63 bits of time, worker and sequence. Never the same twice; strictly rising over all callers of a gateway and its restarts, roughly by time over gateways." + as, Effect::write),
      method("batch", this, &Id::batch, {"n", "options"},
             "n ids at once, as many id.next would give, rising. Options: space, as (\"list\" of texts, the default, \"int\": a list of ints, \"range\": [first, last] of each row of ids that follow each other). More than the layout has for the time, and id.ahead_ms of the future, are waited for: 65536 a second of js53.",
             Effect::write),
      method("segment", this, &Id::segment, {"tag", "n", "options"},
             "The next number of a tag, or n of them in a list: small and rising by gateway; over gateways each has its own segment, so they mix. A crash leaves a gap. The tag is made by id.create. "
             "Options: as (\"text\", \"int\", and of a list \"range\": [first, last, delta] of each row).",
             Effect::write),
      method("create", this, &Id::create, {"tag", "options"},
             "Makes a tag: {tag, created, next, step, delta}; one that is there stays as it is. Options: start (1), step (1000: numbers in the smallest segment), delta (1), "
             "remainder: only numbers that leave it when divided by delta, so that stores can share a tag; anew: a store that lost its data is told that start is above all numbers that were given.",
             Effect::write),
      method("uuid", this, &Id::uuid, {"version", "options"},
             "A UUID of version 7 (rises, by time), 6 (the same, as version 1), 4 (random) or 1. \"ulid\" instead of a version, or the option as = \"ulid\": the bits of version 7 as a ULID's 26 letters.", Effect::write),
      method("redis", this, &Id::redis, {"tag", "options"}, "A number counted in Redis (id.redis): 31 bits of seconds since 2025-01-01 by its clock, 32 bits of a counter of that second. Strictly rising over all gateways, a round trip to Redis each. Options: as (\"text\", the default, or \"int\").", Effect::write),
      method("sequence", this, &Id::sequence, {"tag", "options"},
             "The next number of the store's own sequence (AUTO_INCREMENT, nextval, INCR), made at the first call: strictly rising over all gateways, a round trip to the store each. Options: as (\"text\", the default, or \"int\").", Effect::write),
      method("decode", this, &Id::decode, {"id", "options"}, "What an id says: {time, ms, worker, sequence, space, epoch}; of a UUID or a ULID: {version, time, ms}. An id does not tell its space: read as one of another it says something wrong. Options: space."),
      method("hide", this, &Id::hide, {"id", "options"}, "An id as a text that tells neither it nor its neighbours, and is as unique: for the eyes of strangers. Options: space, which separates."),
      method("reveal", this, &Id::reveal, {"text", "options"}, "The id that id.hide made this text of. Any text of the right form gives some id: look whether it is one of yours." + as),
      method("stats", this, &Id::stats, {"options"},
             "How a space does: {dc, worker, timestamp, last_timestamp, sequence, sequence_overload, errors} and {space, layout, store, claimed, epoch, mark, ahead_ms, lead_ms, lease_ms (left of it, and so is lease), clock_leapt, tags, tags_left, tags_errors}. Options: space."),
  };
}

Generator& Id::generator(const std::string& method, const std::string& space) const {
  if (space.empty()) return *generators_.front();
  std::vector<std::string_view> known;
  for (const auto& each : generators_) {
    if (each->space().name == space) return *each;
    known.push_back(each->space().name);
  }
  const auto close = nearest(space, known);
  std::string all;
  for (const auto name : known) all += (all.empty() ? "" : ", ") + std::string(name);
  throw Fault(Fault::Kind::not_found, method + "() option 'space' names no space of this gateway: " + describe(Value(space)).substr(7) +
                                          (close.empty() ? "; there are " + all + " (id.spaces)" : "; did you mean '" + std::string(close) + "'?"));
}

void Id::release(UniqueFunction<void()> done) {
  const auto all = std::make_shared<UniqueFunction<void()>>(std::move(done));
  const auto left = std::make_shared<std::size_t>(generators_.size());
  for (auto& generator : generators_)
    generator->release([all, left] {
      if (--*left == 0) (*all)();
    });
}

std::int64_t Id::count(const std::string& method, std::int64_t n) const {
  if (n < 1) throw Fault(Fault::Kind::bad_arguments, method + "() gives 1 to " + std::to_string(limits_.batch) + " ids, not " + std::to_string(n));
  if (n > limits_.batch) throw Fault(Fault::Kind::too_large, method + "() gives " + std::to_string(limits_.batch) + " ids at most (id.batch), not " + std::to_string(n) + "; call it several times");
  return n;
}

void Id::next(Answer<Value> answer, MaybeStruct given) {
  Generator* from = generators_.front().get();
  As as = As::text;
  if (given) {
    const Options options = read_options("id.next", *given, true, {"text", "int"});
    from = &generator("id.next", options.space);
    as = options.as;
  }
  if (const auto block = from->take(1)) return answer(form(from->id(*block, 0), as));
  from->wait(1, [from, as, answer = std::move(answer)](Generator::Given got) mutable {
    if (auto* fault = std::get_if<Fault>(&got)) return answer(std::move(*fault));
    answer(form(from->id(std::get<Snowflake::Block>(got), 0), as));
  });
}

// More ids than may be ahead of the time at once: taken in pieces, each of which waits for its turn as a call does.
class Id::Batch {
 public:
  Batch(Generator& from, std::int64_t n, As as, Answer<Value::Array> answer) : from_(from), left_(n), as_(as), answer_(std::move(answer)) {}

  static void go_on(std::unique_ptr<Batch> batch) {
    while (batch->left_ > 0) {
      if (batch->answer_.reply().cancelled()) return batch->answer_(Fault(Fault::Kind::cancelled, "the caller is gone, or out of time"));
      const std::int64_t n = std::min(batch->left_, batch->from_.most() / 2);
      if (const auto block = batch->from_.take(n)) {
        batch->add(*block);
        continue;
      }
      Generator& from = batch->from_;
      return from.wait(n, [batch = std::move(batch)](Generator::Given got) mutable {
        if (auto* fault = std::get_if<Fault>(&got)) return batch->answer_(std::move(*fault));
        batch->add(std::get<Snowflake::Block>(got));
        go_on(std::move(batch));
      });
    }
    batch->answer_(std::move(batch->ids_));
  }

 private:
  void add(const Snowflake::Block& block) {
    left_ -= block.count;
    std::ranges::move(block_answer(from_, block, as_), std::back_inserter(ids_));
  }

  Generator& from_;
  std::int64_t left_;
  const As as_;
  Answer<Value::Array> answer_;
  Value::Array ids_;
};

void Id::batch(Answer<Value::Array> answer, std::int64_t n, MaybeStruct given) {
  const Options options = read_options("id.batch", given.value_or(Value::Struct{}), true, {"list", "text", "int", "range"});
  Generator& from = generator("id.batch", options.space);
  if (count("id.batch", n) > from.most()) return Batch::go_on(std::make_unique<Batch>(from, n, options.as, std::move(answer)));
  if (const auto block = from.take(n)) return answer(block_answer(from, *block, options.as));
  from.wait(n, [&from, as = options.as, answer = std::move(answer)](Generator::Given got) mutable {
    if (auto* fault = std::get_if<Fault>(&got)) return answer(std::move(*fault));
    answer(block_answer(from, std::get<Snowflake::Block>(got), as));
  });
}

void Id::segment(Answer<Value> answer, std::string tag, std::optional<std::int64_t> n, MaybeStruct given) {
  check_tag("id.segment", tag);
  const Value::Struct said = given.value_or(Value::Struct{});
  const Options options = n ? read_options("id.segment", said, false, {"list", "text", "int", "range"}) : read_options("id.segment", said, false, {"text", "int"});
  if (!n) {
    std::int64_t number = 0;
    if (tags_.take(tag, number)) return answer(form(number, options.as));
  } else {
    Buffers::Rows rows;
    if (tags_.take(tag, count("id.segment", *n), rows)) return answer(rows_answer(rows, options.as));
  }
  tags_.wait(std::move(tag), n.value_or(1), [one = !n, as = options.as, answer = std::move(answer)](Tags::Given got) mutable {
    if (auto* fault = std::get_if<Fault>(&got)) return answer(std::move(*fault));
    const auto& rows = std::get<Buffers::Rows>(got);
    answer(one ? form(rows.front().first, as) : rows_answer(rows, as));
  });
}

// On home. The first answer counts: the store's, or that it took too long.
class Id::Pending {
 public:
  Pending(Loop& home, Reply reply, std::int64_t wait_ms) : reply_(std::move(reply)), timer_(home) {
    timer_.start(std::chrono::milliseconds(wait_ms), [this, wait_ms] {
      answer(Fault(Fault::Kind::unavailable, "the store of ids did not answer within " + std::to_string(wait_ms) + " ms (id.wait_ms); it may still do what it was asked for",
                   {{"retry_after_ms", 1000}}));
    });
  }
  template <class Answer>
  void answer(Answer answer) {
    if (reply_) reply_(std::move(answer));
    timer_.stop();
  }

 private:
  Reply reply_;
  Timer timer_;
};

// Runs `work` on the loop of the store.
void Id::on_home(Reply reply, UniqueFunction<void(std::shared_ptr<Pending>)> work) {
  auto start = [this, reply = std::move(reply), work = std::move(work)]() mutable { work(std::make_shared<Pending>(home_, std::move(reply), limits_.generator.wait_ms)); };
  if (Loop::current() == &home_) return start();
  home_.post(std::move(start));
}

void Id::create(Answer<Value::Struct> answer, std::string name, MaybeStruct given) {
  check_tag("id.create", name);
  Tag tag;
  tag.name = std::move(name);
  constexpr std::array<std::string_view, 5> kNames{"start", "step", "delta", "remainder", "anew"};
  for (const auto& [option, value] : given.value_or(Value::Struct{})) {
    if (value.is_nil()) continue;
    const auto at = std::ranges::find(kNames, option);
    if (at == kNames.end()) {
      const auto close = nearest(option, kNames);
      throw Fault(Fault::Kind::bad_arguments, "id.create() has no option " + describe(Value(option)).substr(7) + (close.empty() ? "; it takes start, step, delta, remainder and anew" : "; did you mean '" + std::string(close) + "'?"));
    }
    if (option == "anew") {
      const auto* anew = value.get_if<bool>();
      if (!anew) throw Fault(Fault::Kind::bad_arguments, "id.create() option 'anew' must be bool, not " + describe(value));
      tag.anew = *anew;
      continue;
    }
    std::int64_t* const to[] = {&tag.start, &tag.step, &tag.delta, &tag.remainder};
    *to[at - kNames.begin()] = read_id("id.create", value, option);
  }
  if (tag.step < 1 || tag.step > Step::kMost) throw Fault(Fault::Kind::bad_arguments, "id.create() option 'step' must be 1 to " + std::to_string(Step::kMost) + ", not " + std::to_string(tag.step));
  if (tag.delta < 1 || tag.delta > 1'000'000) throw Fault(Fault::Kind::bad_arguments, "id.create() option 'delta' must be 1 to 1000000, not " + std::to_string(tag.delta));
  if (tag.remainder >= tag.delta)
    throw Fault(Fault::Kind::bad_arguments, "id.create() option 'remainder' must be less than delta, which is " + std::to_string(tag.delta) + ", not " + std::to_string(tag.remainder));
  if (tag.start > std::int64_t{1} << 62) throw Fault(Fault::Kind::bad_arguments, "id.create() option 'start' must be at most 2^62");
  tag.start = first_of(tag);
  on_home(std::move(answer.reply()), [this, tag = std::move(tag)](std::shared_ptr<Pending> call) mutable {
    store_.create(std::move(tag), [call = std::move(call)](Creation creation) {
      if (auto* fault = std::get_if<Fault>(&creation)) return call->answer(std::move(*fault));
      const auto& [created, tag] = std::get<Created>(creation);
      call->answer(Value(Value::Struct{{"tag", tag.name}, {"created", created}, {"next", decimal(tag.start)}, {"step", tag.step}, {"delta", tag.delta}}));
    });
  });
}

std::string Id::uuid(std::optional<Value> version, MaybeStruct given) {
  const Options options = read_options("id.uuid", given.value_or(Value::Struct{}), false, {"uuid", "ulid"});
  bool ulid = options.as == As::ulid;
  std::int64_t number = 7;
  if (version && *version == Value("ulid"))
    ulid = true;
  else if (version && !Wire<std::int64_t>::take(Value(*version), number))
    number = 0;
  Uuid made;
  switch (number) {
    case 1: made = uuids_.v1(); break;
    case 4: made = uuids_.v4(); break;
    case 6: made = uuids_.v6(); break;
    case 7: made = uuids_.v7(); break;
    default: throw Fault(Fault::Kind::bad_arguments, "id.uuid() makes the versions 1, 4, 6 and 7, and \"ulid\", not " + describe(*version));
  }
  return ulid ? ulid_text(made) : uuid_text(made);
}

void Id::sequence(Answer<Value> answer, std::string tag, MaybeStruct given) {
  check_tag("id.sequence", tag);
  const As as = read_options("id.sequence", given.value_or(Value::Struct{}), false, {"text", "int"}).as;
  on_home(std::move(answer.reply()), [this, as, tag = std::move(tag)](std::shared_ptr<Pending> call) mutable {
    store_.sequence(std::move(tag), [as, call = std::move(call)](Number number) {
      if (auto* fault = std::get_if<Fault>(&number)) return call->answer(std::move(*fault));
      call->answer(form(std::get<std::int64_t>(number), as));
    });
  });
}

void Id::redis(Answer<Value> answer, std::string tag, MaybeStruct given) {
  check_tag("id.redis", tag);
  const As as = read_options("id.redis", given.value_or(Value::Struct{}), false, {"text", "int"}).as;
  if (!redis_) throw Fault(Fault::Kind::unavailable, "id.redis() counts in Redis, and none is configured: id.redis = \"redis://HOST:PORT\"; id.sequence() counts in the store that is: " + std::string(store_.backend()));
  on_home(std::move(answer.reply()), [this, as, tag = std::move(tag)](std::shared_ptr<Pending> call) mutable {
    redis_->stamp(std::move(tag), [as, call = std::move(call)](Number number) {
      if (auto* fault = std::get_if<Fault>(&number)) return call->answer(std::move(*fault));
      call->answer(form(std::get<std::int64_t>(number), as));
    });
  });
}

namespace {

Fault undecodable(const Value& id) {
  return Fault(Fault::Kind::bad_arguments, "id.decode() takes an id (a decimal string or an int from 0 to 2^63 - 1), a UUID or a ULID, not " + describe(id));
}

}  // namespace

Value::Struct Id::decode(Value id, MaybeStruct given) {
  const Options options = read_options("id.decode", given.value_or(Value::Struct{}), true);
  if (const auto* text = id.get_if<std::string>(); text && text->size() > 20) {
    const auto uuid = parse_uuid(*text);
    if (!uuid) throw undecodable(id);
    const UuidParts said = parts(*uuid);
    Value::Struct out{{"version", said.version}};
    if (said.unix_ms) {
      out.emplace_back("time", time_of(*said.unix_ms));
      out.emplace_back("ms", decimal(*said.unix_ms));
    }
    return out;
  }
  const Generator& of = generator("id.decode", options.space);
  const auto number = maybe_id(id);
  if (!number) throw undecodable(id);
  const auto said = of.space().layout.parts(*number);
  return {{"time", time_of(said.unix_ms)}, {"ms", decimal(said.unix_ms)}, {"worker", said.worker}, {"sequence", said.sequence}, {"space", of.space().name}, {"epoch", time_of(of.space().layout.epoch_ms)}};
}

std::string Id::hide(Value id, MaybeStruct given) {
  const Options options = read_options("id.hide", given.value_or(Value::Struct{}), true);
  if (keys_.empty()) throw Fault(Fault::Kind::unavailable, "id.hide() needs a key, and none is configured: id.keys = [\"k1=FILE\"]");
  const std::int64_t number = read_id("id.hide", id);
  return keys_.front().id() + "-" + hidden_text(keys_.front().hide(number, generator("id.hide", options.space).space().name));
}

Value Id::reveal(std::string text, MaybeStruct given) {
  const Options options = read_options("id.reveal", given.value_or(Value::Struct{}), true, {"text", "int"});
  const auto dash = text.find('-');
  const std::int64_t hidden = dash == text.npos ? -1 : parse_hidden(std::string_view(text).substr(dash + 1));
  if (hidden < 0) throw Fault(Fault::Kind::bad_arguments, "id.reveal() takes a text that id.hide made: a key's name, '-' and 13 letters and digits, not " + describe(Value(text)));
  for (const Hider& key : keys_)
    if (key.id() == text.substr(0, dash)) return form(key.reveal(hidden, generator("id.reveal", options.space).space().name), options.as);
  throw Fault(Fault::Kind::not_found, "id.reveal(): this gateway has no key of the name " + describe(Value(text.substr(0, dash))).substr(7) + " (id.keys)");
}

void Id::stats(Answer<Value::Struct> answer, MaybeStruct given) {
  const Options options = read_options("id.stats", given.value_or(Value::Struct{}), true);
  Generator& of = generator("id.stats", options.space);
  of.stats([this, &of, answer = std::move(answer)](Generator::Stats s) mutable {
    const Tags::Stats tags = tags_.stats();
    Value::Struct out{{"dc", 0},
                      {"worker", s.worker},
                      {"timestamp", decimal(s.now_ms)},
                      {"last_timestamp", decimal(s.last_ms)},
                      {"sequence", s.sequence},
                      {"sequence_overload", s.waited},
                      {"errors", s.errors},
                      {"space", of.space().name},
                      {"layout", of.space().layout.describe()},
                      {"store", store_.backend()},
                      {"claimed", s.claimed},
                      {"epoch", s.epoch},
                      {"mark", decimal(s.mark_ms)},
                      {"ahead_ms", std::max<std::int64_t>(0, s.last_ms - s.now_ms)},
                      {"lead_ms", s.lead_ms},
                      {"lease", s.lease_left_ms},
                      {"lease_ms", s.lease_left_ms},
                      {"clock_leapt", s.leapt},
                      {"tags", tags.tags},
                      {"tags_left", decimal(tags.left)},
                      {"tags_errors", tags.errors}};
    answer(std::move(out));
  });
}

}  // namespace sluice::id
