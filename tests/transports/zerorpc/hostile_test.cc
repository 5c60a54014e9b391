// Peers that mean harm: each is survived within bounded memory, and a good caller beside is served.

#include <fstream>
#include <random>

#include "fixture.h"

namespace sluice::zerorpc {
namespace {

using namespace std::string_literals;

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  return 0;
}

class Hostile : public testing::Test {
 protected:
  void TearDown() override { EXPECT_TRUE(good.served()) << "a good caller beside is served"; }

  static std::string head(std::string_view method) {
    std::string payload;
    write_head(payload, std::string(32, 'h'), {}, method);
    return payload;
  }

  Served served;
  Peer good{served.endpoint()};
  Peer bad{served.endpoint()};
};

TEST_F(Hostile, LengthsThatLieReserveNothing) {
  const long before = resident_kib();
  for (int i = 0; i < 250; ++i)  // AddressSanitizer keeps for a while what was freed
    for (std::string bomb : {"\xdd\x0f\xff\xff\xff"s, "\xdf\x0f\xff\xff\xff"s, "\xdb\xff\xff\xff\xff"s, "\xc6\xff\xff\xff\xff"s}) {
      bad.send({"", bomb});
      bad.send({"", head("echo") + "\x91" + bomb});
      ASSERT_EQ(bad.answer().name, "ERR");  // to the one that has a header
    }
  EXPECT_TRUE(bad.served());
  EXPECT_LT(resident_kib() - before, 50'000);
}

TEST_F(Hostile, ArraysThatNestLengthsReserveLittle) {
  // Each level claims as many elements as the message has bytes.
  std::string nested = head("echo") + "\x91";
  for (int i = 0; i < 60; ++i) nested += "\xdd\0\0\x60\0"s;
  nested += std::string(30'000, '\x01');
  const long before = resident_kib();
  for (int i = 0; i < 20; ++i) bad.send({"", nested});
  EXPECT_EQ(bad.answer(milliseconds(30'000)).name, "ERR");  // under ThreadSanitizer on a busy machine
  EXPECT_LT(resident_kib() - before, 200'000);
}

TEST_F(Hostile, DeepNestingIsRefused) {
  for (char byte : {'\x91', '\x81'}) {
    std::string deep = head("echo") + "\x91";
    for (int i = 0; i < 500'000; ++i) deep += byte == '\x91' ? "\x91"s : "\x81\xa1k"s;
    bad.send({"", deep});
    auto got = bad.answer();
    ASSERT_EQ(got.name, "ERR");
    EXPECT_EQ(got.args.get_if<Value::Array>()->front(), Value("OverflowError"));
  }
}

TEST_F(Hostile, AMessageOfTenThousandFramesIsDropped) {
  const auto before = served.transport->counters().garbage.load();
  Frames frames(10'000, "x");
  frames.emplace_back();
  std::string payload = head("add");
  pack(payload, Value::Array{1, 2});
  frames.push_back(payload);
  bad.send(frames);
  EXPECT_TRUE(bad.served());
  EXPECT_EQ(served.transport->counters().garbage.load(), before + 1);
}

TEST_F(Hostile, AFrameBeyondTheLimitEndsItsConnectionOnly) {
  bad.send({"", std::string(17 * 1024 * 1024, 'x')});
  EXPECT_TRUE(bad.receive(milliseconds(100)).empty());
}

TEST_F(Hostile, AnErrorRepeatsNoMoreThanALittleOfAHugeName) {
  std::string payload = head(std::string(1'000'000, 'n'));
  pack(payload, Value::Array{});
  bad.send({"", payload});
  auto frames = bad.receive();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_LT(frames[1].size(), 100'000u);
}

TEST_F(Hostile, OctetsAsArgumentsAreNotMultiplied) {
  std::string payload = head("varargs");
  pack(payload, Bytes{std::string(1'000'000, 'x')});
  bad.send({"", payload});
  EXPECT_EQ(bad.answer().name, "ERR");
}

TEST_F(Hostile, NamesOfEveryKindAreOnlyNames) {
  for (const std::string& name :
       {"__class__"s, "a.b.c.d"s, ".."s, "\0"s, "_zerorpc_"s, "STREAM"s, "OK"s, "../../etc/passwd"s, std::string(10'000, 'a')}) {
    bad.call(name, Value::Array{});
    auto got = bad.answer();
    ASSERT_EQ(got.name, "ERR");
    EXPECT_EQ(*got.args.get_if<Value::Array>(), (Value::Array{"NameError", name, Value()}));
  }
}

TEST_F(Hostile, WindowsAndHeartbeatsOutOfPlaceAreDropped) {
  const std::string channel = bad.call("count", Value::Array{3});
  EXPECT_EQ(bad.answer().name, "STREAM");
  for (const Value& args : {Value(), Value(5), Value(Value::Array{}), Value(Value::Array{"x"}), Value(Value::Array{-5}), Value("text"),
                            Value(Value::Array{std::int64_t{1} << 62})})
    bad.follow(channel, "_zpc_more", args);
  EXPECT_EQ(bad.answer().name, "STREAM");
  EXPECT_EQ(bad.answer().name, "STREAM");
  EXPECT_EQ(bad.answer().name, "STREAM_DONE");
  for (int i = 0; i < 100; ++i) bad.follow(channel, i % 2 ? "_zpc_more" : "_zpc_hb", Value::Array{100});
  EXPECT_TRUE(bad.served());
}

TEST_F(Hostile, NoiseIsSurvived) {
  std::mt19937 random(4243);  // the same noise each time
  std::string good_call = head("echo");
  pack(good_call, Value::Array{Value::Struct{{"a", Value::Array{1, "two", Bytes{"3"}}}}});
  for (int i = 0; i < 5000; ++i) {
    std::string payload = good_call;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips)
      payload[random() % payload.size()] = static_cast<char>(random());
    payload.resize(payload.size() - random() % 8);
    bad.send({"", payload});
  }
  Peer after(served.endpoint());
  EXPECT_TRUE(after.served());
}

}  // namespace
}  // namespace sluice::zerorpc
