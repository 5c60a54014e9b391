// What a lock in ZooKeeper becomes, by the table; the store's suite has the rest.

#include <gtest/gtest.h>

#include "handlers/lock/zookeeper/record.h"

namespace sluice::lock::zookeeper {
namespace {

Acquire request(std::string owner, std::int64_t slots = kExclusive) {
  Acquire acquire;
  acquire.names = {"a"};
  acquire.owner = std::move(owner);
  acquire.nonce = "n1";
  acquire.ttl = milliseconds(1000);
  acquire.slots = slots;
  return acquire;
}

Record granted(const Acquire& acquire, Time now, std::int64_t epoch = 0, std::int64_t zxid = 10) {
  Record record;
  grant(record, acquire, now, epoch, zxid);
  return record;
}

TEST(ZooKeeperRecord, ATokenIsTheNumberOfTheWriteThatGrantedIt) {
  Record record = granted(request("A"), {100, 120}, 2);
  const auto first = read(write(record), 77);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->leases.at(0).mark.token, first_token(2) + 77);
  EXPECT_EQ(first->newest.token, first_token(2) + 77);
  // Written again for another reason, it stays.
  const auto later = read(write(*first), 99);
  EXPECT_EQ(later->leases.at(0).mark.token, first_token(2) + 77);
  fill(record, 77);
  EXPECT_EQ(write(record), write(*first));
}

TEST(ZooKeeperRecord, TokensRiseThoughTheEpochWasLowered) {
  Record record;
  record.newest.token = first_token(3) + 50;
  EXPECT_EQ(next(record, 0, 60).token, first_token(3) + 51);
  EXPECT_FALSE(next(record, 0, 60).of_this_write);
  EXPECT_EQ(next(record, 3, 60).token, first_token(3));
  EXPECT_TRUE(next(record, 3, 60).of_this_write);
}

TEST(ZooKeeperRecord, WhatIsNotKnownOfTheTimeMakesLeasesLonger) {
  Record record = granted(request("A"), {100, 120});
  EXPECT_EQ(record.leases.at(0).expires, 1120);
  prune(record, {1119, 1500});
  EXPECT_TRUE(blocked(record, request("B"), {1119, 1500}));
  prune(record, {1120, 1500});
  EXPECT_FALSE(blocked(record, request("B"), {1120, 1500}));
  EXPECT_EQ(remaining(granted(request("A"), {100, 120}).leases.at(0), {100, 120}), 1000);
}

TEST(ZooKeeperRecord, AWritersIntentKeepsReadersOutForItsTime) {
  Record record = granted(request("R", kShared), {100, 100});
  Acquire writer = request("W");
  EXPECT_FALSE(intend(record, writer, {100, 100}));
  writer.intent = milliseconds(50);
  EXPECT_TRUE(intend(record, writer, {100, 100}));
  EXPECT_TRUE(blocked(record, request("R2", kShared), {149, 149}));
  EXPECT_FALSE(blocked(record, request("R2", kShared), {151, 151}));
  EXPECT_EQ(judge({record}, request("R2", kShared), {100, 100}).holder.owner, "R");
}

TEST(ZooKeeperRecord, AnIntentIsToldAgainOnlyWhenItRunsOut) {
  Record record = granted(request("R", kShared), {100, 100});
  Acquire writer = request("W"), other = request("V");
  writer.intent = other.intent = milliseconds(2000);
  EXPECT_TRUE(intend(record, writer, {100, 100}));
  EXPECT_FALSE(intend(record, writer, {110, 110}));
  EXPECT_FALSE(intend(record, other, {110, 110}));
  EXPECT_EQ(record.wanted_by, "W");
  EXPECT_TRUE(intend(record, writer, {1100, 1100}));
  EXPECT_EQ(record.wanted_until, 3100);
}

TEST(ZooKeeperRecord, TextsOfAnyBytesComeBack) {
  Record record = granted(request("o w\nner /%"), {1, 2});
  record.wanted_by = "x y";
  record.change = "";
  const auto back = read(write(record), 5);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->leases.at(0).owner, "o w\nner /%");
  EXPECT_EQ(back->wanted_by, "x y");
  EXPECT_EQ(back->change, "");
}

TEST(ZooKeeperRecord, OtherTextsAreNone) {
  EXPECT_TRUE(read("", 5));
  for (const char* text : {"x", "2 0 0 . .\n", "1 0 0 .\n", "1 +x 0 . .\n", "1 0 0 . .\nA n 5 1 1\n", "1 0 0 . .\nA n 5 1 1 1 1 x\n"})
    EXPECT_FALSE(read(text, 5)) << text;
}

}  // namespace
}  // namespace sluice::lock::zookeeper
