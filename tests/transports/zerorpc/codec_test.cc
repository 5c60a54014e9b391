// The codec by tables: what is read, what is refused, what is written.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "transports/zerorpc/envelope.h"
#include "transports/zerorpc/event.h"
#include "transports/zerorpc/pack.h"
#include "transports/zerorpc/python.h"
#include "rpc/utf8.h"

namespace sluice::zerorpc {
namespace {

using namespace std::string_literals;

// A call of `m` with one argument, given as raw msgpack.
std::string call_with(const std::string& argument) { return "\x93\x82\xaamessage_id\xc4\x01i\xa1v\x03\xa1m\x91"s + argument; }

Reading read(const std::string& payload, Event& event, EventLimits limits = {}) { return EventReader(limits).read(payload, event); }

TEST(Codec, ValuesComeBackAsTheyWent) {
  const Value values[] = {Value(),
                          true,
                          false,
                          0,
                          -1,
                          127,
                          128,
                          -32,
                          -33,
                          255,
                          256,
                          65535,
                          65536,
                          std::numeric_limits<std::int64_t>::max(),
                          std::numeric_limits<std::int64_t>::min(),
                          std::numeric_limits<std::uint64_t>::max(),
                          1.0,
                          -0.5,
                          1e300,
                          HUGE_VAL,
                          "",
                          "héllo 世界",
                          std::string(300, 'x'),
                          std::string(70'000, 'y'),
                          Bytes{""},
                          Bytes{"\xff\0z"s},
                          Bytes{std::string(70'000, '\x80')},
                          DateTime(std::chrono::seconds(1)),
                          DateTime(std::chrono::microseconds(1'700'000'000'123'456)),
                          DateTime(std::chrono::microseconds(-1)),
                          DateTime(std::chrono::seconds(std::int64_t{1} << 35)),
                          Extension{5, "abc"},
                          Extension{-1, "odd size"},
                          Value::Array{},
                          Value::Array{1, Value::Array{"a", Value()}},
                          Value::Struct{},
                          Value::Struct{{"b", 1}, {"a", Value::Struct{{"c", Value::Array(20, Value(7))}}}}};
  for (const Value& value : values) {
    std::string packed;
    pack(packed, value);
    Event event;
    ASSERT_EQ(read(call_with(packed), event), Reading::event) << describe(value);
    EXPECT_EQ(event.args, Value(Value::Array{value})) << describe(value);
  }
  std::string nan;
  pack(nan, std::nan(""));
  Event event;
  ASSERT_EQ(read(call_with(nan), event), Reading::event);
  EXPECT_TRUE(std::isnan(*event.args.get_if<Value::Array>()->front().get_if<double>()));
}

TEST(Codec, WritesTheSmallestForms) {
  const std::pair<Value, std::string> cases[] = {
      {1, "\x01"},
      {-1, "\xff"},
      {200, "\xcc\xc8"},
      {-200, "\xd1\xff\x38"},
      {2.0, "\xcb\x40\0\0\0\0\0\0\0"s},
      {"a",
       "\xa1"
       "a"},
      {Bytes{"a"},
       "\xc4\x01"
       "a"},
      {DateTime(std::chrono::seconds(1)), "\xd6\xff\0\0\0\x01"s},
  };
  for (const auto& [value, bytes] : cases) {
    std::string packed;
    pack(packed, value);
    EXPECT_EQ(packed, bytes) << describe(value);
  }
}

TEST(Codec, ATimestampThatMicrosecondsCannotHoldGoesBackAsItCame) {
  Event event;
  ASSERT_EQ(read(call_with("\xd7\xff\0\0\0\x08\0\0\0\x01"s), event), Reading::event);  // two nanoseconds
  EXPECT_EQ(event.args, Value(Value::Array{Extension{-1, "\0\0\0\x08\0\0\0\x01"s}}));
}

TEST(Codec, KeepsTheRawBytesOfIds) {
  const std::pair<std::string, std::string> cases[] = {{"bin", "\xc4\x02id"},          {"text", "\xa2id"},
                                                       {"long form", "\xda\0\x02id"s}, {"number", "\xcd\x01\x02"},
                                                       {"array", "\x92\x01\xa1x"},     {"empty", "\xc4\0"s}};
  for (const auto& [what, raw] : cases) {
    Event event;
    const std::string payload = "\x93\x83\xaamessage_id" + raw + "\xa1v\x03\xa8trace_id" + raw + "\xa1m\x90";
    ASSERT_EQ(read(payload, event), Reading::event) << what;
    EXPECT_EQ(event.message_id, raw) << what;
    EXPECT_EQ(event.trace_id, raw) << what;
    EXPECT_EQ(event.version, 3);
    EXPECT_FALSE(event.is_reply());
  }
}

TEST(Codec, OfAKeyThatComesTwiceTheLastOneCounts) {
  Event event;
  ASSERT_EQ(read(call_with("\x83\xa1"
                           "a\x01\xa1"
                           "b\x02\xa1"
                           "a\x03"),
                 event),
            Reading::event);
  EXPECT_EQ(event.args, Value(Value::Array{Value::Struct{{"a", 3}, {"b", 2}}}));
}

TEST(Codec, WhatHasNoReadableHeaderIsGarbage) {
  const std::pair<std::string, std::string> cases[] = {
      {"nothing", ""},
      {"a number", "\x07"},
      {"a map", "\x80"},
      {"no elements", "\x90"},
      {"an array that claims 268 million", "\xdd\x0f\xff\xff\xff"},
      {"the header an array", "\x93\x91\x01\xa1m\x90"},
      {"the header a text", "\x93\xa1h\xa1m\x90"},
      {"the header cut", "\x93\x82\xaamessage_id\x01\xa1v"},
      {"a key of the header that is a number", "\x93\x82\xaamessage_id\x01\x01\x02\xa1m\x90"},
      {"a header field that is not UTF-8", "\x93\x82\xa1x\xa1\xff\xaamessage_id\x01\xa1m\x90"},
      {"an id of 2 kB", "\x93\x81\xaamessage_id\xda\x08\0"s + std::string(2048, 'i') + "\xa1m\x90"},
  };
  for (const auto& [what, payload] : cases) {
    Event event;
    EXPECT_EQ(read(payload, event), Reading::garbage) << what;
  }
}

TEST(Codec, WhatIsNoEventBehindItsHeaderIsRefused) {
  const std::string head = "\x82\xaamessage_id\xc4\x01i\xa1v\x03", v = "\xaamessage_id\xc4\x01i\xa1v";
  const std::tuple<std::string, std::string, std::string> cases[] = {
      {"one element", "\x91" + head, "1 parts"},
      {"two elements", "\x92" + head + "\xa1m", "2 parts"},
      {"four elements", "\x94" + head + "\xa1m\x90\xc0", "4 parts"},
      {"four thousand million elements", "\xdd\xff\xff\xff\xff" + head + "\xa1m\x90\xc0", "4294967295 parts"},
      {"no arguments", "\x93" + head + "\xa1m", "no whole"},
      {"no name", "\x93" + head, "no whole"},
      {"arguments that claim 268 million", "\x93" + head + "\xa1m\xdd\x0f\xff\xff\xff", "no whole"},
      {"a map that claims as much", call_with("\xdf\x0f\xff\xff\xff"), "no whole"},
      {"a text that claims 4 GiB", call_with("\xdb\xff\xff\xff\xff"), "no whole"},
      {"octets that claim 4 GiB", call_with("\xc6\xff\xff\xff\xff"), "no whole"},
      {"an extension that claims 4 GiB", call_with("\xc9\xff\xff\xff\xff\x01"), "no whole"},
      {"a byte that msgpack never uses", call_with("\xc1"), "no whole"},
      {"cut", call_with("\xa5" "ab"), "no whole"},
      {"a key that is a number", call_with("\x81\x01\x02"), "a key that is no text"},
      {"a key that is nil", call_with("\x81\xc0\x02"), "a key that is no text"},
      {"a key that is an array", call_with("\x81\x90\x02"), "a key that is no text"},
      {"a key that is octets", call_with("\x81\xc4\x01k\x02"), "a key that is no text"},
      {"text that is not UTF-8", call_with("\xa2\xff\xfe"), "not UTF-8"},
      {"a surrogate", call_with("\xa3\xed\xa0\x80"), "not UTF-8"},
      {"an overlong slash", call_with("\xa2\xc0\xaf"), "not UTF-8"},
      {"a name that is not UTF-8", "\x93" + head + "\xa1\xff\x90", "not UTF-8"},
      {"a version that is text", "\x93\x82" + v + "\xa1" "3" "\xa1m\x90", "'v' must be a number, not string '3'"},
      {"a version that is nil", "\x93\x82" + v + "\xc0\xa1m\x90", "'v' must be a number"},
      {"a version that is an array", "\x93\x82" + v + "\x91\x90\xa1m\x90", "'v' must be a number"},
  };
  for (const auto& [what, payload, says] : cases) {
    Event event;
    EXPECT_EQ(read(payload, event), Reading::refused) << what;
    EXPECT_NE(event.refusal.find(says), std::string::npos) << what << ": " << event.refusal;
    EXPECT_NE(event.refused_as, Fault::Kind::too_large) << what;
    EXPECT_EQ(event.message_id, "\xc4\x01i") << what;
    EXPECT_EQ(event.version, 3) << what;
  }
  Event event;
  EXPECT_EQ(read("\x93\x82" + v + "\xcf\x80\0\0\0\0\0\0\0"s + "\xa1m\x90", event), Reading::event) << "2^63 is a version";
  EXPECT_GE(event.version, 2);
}

TEST(Codec, WhatBreaksALimitIsRefusedWithItsName) {
  const EventLimits limits{.depth = 8, .values = 100, .text_bytes = 50, .id_bytes = 64};
  const std::pair<std::string, std::string> cases[] = {{std::string(9, '\x91') + "\x01", "8 arrays"},
                                                       {"\xdc\0\xc8"s + std::string(200, '\x01'), "100 values"},
                                                       {"\xd9\x40" + std::string(64, 'x'), "64 bytes"},
                                                       {"\xc4\x40" + std::string(64, 'x'), "64 bytes"}};
  for (const auto& [argument, says] : cases) {
    Event event;
    const std::string payload = call_with(argument);
    EXPECT_EQ(read(payload, event, limits), Reading::refused) << says;
    EXPECT_NE(event.refusal.find(says), std::string::npos) << event.refusal;
    EXPECT_EQ(event.message_id, "\xc4\x01i");
  }
  Event event;
  EXPECT_EQ(read(call_with(std::string(100'000, '\x91')), event), Reading::refused) << "nesting costs no stack";
}

TEST(Codec, RefusesToWriteWhatNoPeerCouldRead) {
  std::string out;
  EXPECT_THROW(pack(out, Value("\xff")), Fault);
  EXPECT_THROW(pack(out, Value(Value::Struct{{"\xff", 1}})), Fault);
  Value deep;
  for (int i = 0; i < 1000; ++i) {
    Value::Array around;
    around.push_back(std::move(deep));
    deep = std::move(around);
  }
  EXPECT_THROW(pack(out, deep), Fault);
}

TEST(Codec, IdsAreUniqueAndInPythonsForm) {
  MessageIds ids;
  const std::string first(ids.next()), second(ids.next());
  EXPECT_EQ(first.size(), 32u);
  EXPECT_NE(first, second);
  EXPECT_EQ(first.substr(8), second.substr(8)) << "only the counter in front moves";
  EXPECT_EQ(first.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(Python, ReprIsPythons) {
  const std::pair<std::string, std::string> cases[] = {
      {"m", "'m'"}, {"it's", "\"it's\""}, {"a\"'b", "'a\"\\'b'"}, {"a\nb\\", "'a\\nb\\\\'"}, {"é\x01", "'é\\x01'"}};
  for (const auto& [text, repr] : cases) EXPECT_EQ(python_repr(text), repr);
  EXPECT_EQ(python_repr_bytes("\xff!"), "b'\\xff!'");
}

TEST(Python, ArgumentsAreSpread) {
  auto spread = [](Value args) { return Value(std::get<Value::Array>(spread_arguments("m", std::move(args)))); };
  EXPECT_EQ(spread("aé"), Value(Value::Array{"a", "é"}));
  EXPECT_EQ(spread(Bytes{"a\xff"}), Value(Value::Array{97, 255}));
  EXPECT_EQ(spread(Value::Struct{{"k", 1}}), Value(Value::Array{"k"}));
  EXPECT_TRUE(std::holds_alternative<Fault>(spread_arguments("m", Value())));
  EXPECT_TRUE(std::holds_alternative<Fault>(spread_arguments("m", Bytes{std::string(1'000'000, 'x')})));
}

TEST(Utf8, BrokenBytesAreReplacedInOurOwnMessages) { EXPECT_EQ(to_utf8("a\xff\xc3\xa9\xe4\xb8"), "a?é??"); }

}  // namespace
}  // namespace sluice::zerorpc
