#include "handlers/id/hide.h"

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

namespace sluice::id {
namespace {

const std::string kKey = "0123456789abcdef";

TEST(Hider, RevealsWhatItHid) {
  const Hider hider("k1", kKey);
  std::mt19937_64 random(1);
  std::vector<std::int64_t> all{0, 1, 2, INT64_MAX, INT64_MAX - 1, std::int64_t{1} << 62, 1'234'567'890'123};
  for (int i = 0; i < 20'000; ++i) all.push_back(static_cast<std::int64_t>(random() >> (1 + i % 60)));
  for (const std::int64_t id : all) {
    const std::int64_t hidden = hider.hide(id, "main");
    ASSERT_GE(hidden, 0);
    ASSERT_EQ(hider.reveal(hidden, "main"), id);
    ASSERT_EQ(parse_hidden(hidden_text(hidden)), hidden);
  }
}

TEST(Hider, NeighboursHaveNothingInCommon) {
  const Hider hider("k1", kKey);
  // Of 63 bits, half should change from one id to the next; and each bit should change about as often as not.
  constexpr int kIds = 20'000;
  std::int64_t changed = 0;
  int each[63]{};
  std::int64_t last = hider.hide(0, "main");
  for (int i = 1; i <= kIds; ++i) {
    const std::int64_t next = hider.hide(i, "main");
    const auto difference = static_cast<std::uint64_t>(next ^ last);
    changed += std::popcount(difference);
    for (int bit = 0; bit < 63; ++bit) each[bit] += static_cast<int>(difference >> bit & 1);
    last = next;
  }
  EXPECT_NEAR(static_cast<double>(changed) / kIds, 31.5, 0.3);
  for (int bit = 0; bit < 63; ++bit) EXPECT_NEAR(each[bit], kIds / 2, 500) << bit;
}

TEST(Hider, KeysAndSpacesSeparate) {
  const Hider one("k1", kKey), other("k2", "another key: 16b");
  EXPECT_NE(one.hide(7, "main"), one.hide(7, "orders"));
  EXPECT_NE(one.hide(7, "main"), other.hide(7, "main"));
  EXPECT_THROW(Hider("k", "short"), std::invalid_argument);
}

TEST(Hider, StaysTheSameFromReleaseToRelease) {
  const Hider hider("k1", kKey);
  EXPECT_EQ(hidden_text(hider.hide(1, "main")), "5787ctd5tngwv");
}

TEST(Hidden, TextsThatAreNoneAreRefused) {
  for (const char* text : {"", "0", "8000000000000", "00000000000000", "000000000000u", "00000000000 0"}) EXPECT_EQ(parse_hidden(text), -1) << text;
  EXPECT_EQ(parse_hidden("00000000000IO"), 32);
}

class KeyFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / ("sluice-key-" + std::to_string(std::random_device{}()));
    write("000102030405060708090a0b0c0d0e0f\n");
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void write(const std::string& text, std::filesystem::perms mode = std::filesystem::perms::owner_read) {
    std::filesystem::remove(path_);
    std::ofstream(path_) << text;
    std::filesystem::permissions(path_, mode);
  }
  std::string refusal(const std::string& setting) {
    try {
      Hider::from_file(setting);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "";
  }
  std::filesystem::path path_;
};

TEST_F(KeyFile, HoldsAKey) {
  const Hider hider = Hider::from_file("k1=" + path_.string());
  EXPECT_EQ(hider.id(), "k1");
  std::string key;
  for (char c = 0; c < 16; ++c) key += c;
  EXPECT_EQ(hider.hide(42, "main"), Hider("x", key).hide(42, "main"));
}

TEST_F(KeyFile, MustBeNobodyElsesAndWhole) {
  EXPECT_NE(refusal("K1=" + path_.string()).find("is no key"), std::string::npos);
  EXPECT_NE(refusal(path_.string()).find("is no key"), std::string::npos);
  EXPECT_NE(refusal("k1=/does/not/exist").find("cannot read"), std::string::npos);
  for (const char* text : {"", "0001", "000102030405060708090a0b0c0d0e0f00", "000102030405060708090a0b0c0d0e0g", "0x0102030405060708090a0b0c0d0e0f"}) {
    write(text);
    EXPECT_NE(refusal("k1=" + path_.string()).find("32 hexadecimal digits"), std::string::npos) << text;
  }
  write("000102030405060708090a0b0c0d0e0f", std::filesystem::perms::owner_read | std::filesystem::perms::group_read);
  EXPECT_NE(refusal("k1=" + path_.string()).find("chmod 600"), std::string::npos);
}

}  // namespace
}  // namespace sluice::id
