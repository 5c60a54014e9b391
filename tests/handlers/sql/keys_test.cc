#include "handlers/sql/keys.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

namespace sluice::sql {
namespace {

std::vector<Rows> everything() {
  Rows rows;
  rows.columns = {"a", "b"};
  rows.affected = 3;
  rows.last_insert_id = -1;
  rows.rows = {Value::Array{Value(), true, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::uint64_t>::max(), -0.5, "text", Bytes{std::string("\0\xff", 2)},
                            DateTime(std::chrono::microseconds(-5)), Value::Array{1, Value::Array{}}, Value::Struct{{"k", 1}}, Extension{-3, "x"}}};
  return {rows, Rows{}};
}

TEST(Keys, a_reply_comes_back_as_it_was) {
  const auto before = everything();
  const auto after = thaw(freeze(before));
  ASSERT_TRUE(after);
  ASSERT_EQ(after->size(), 2u);
  EXPECT_EQ((*after)[0].columns, before[0].columns);
  EXPECT_EQ((*after)[0].affected, 3);
  EXPECT_EQ((*after)[0].last_insert_id, -1);
  EXPECT_EQ((*after)[0].rows, before[0].rows);
}

TEST(Keys, a_reply_that_was_cut_or_changed_is_refused_and_harms_nobody) {
  const std::string whole = freeze(everything());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_FALSE(thaw(whole.substr(0, i))) << i;
  for (std::size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      thaw(changed);
    }
  EXPECT_FALSE(thaw(whole + "x"));
  std::string deep = "1" + std::string("\1\0\0\0\0\0\0\0", 8) + std::string(24, '\0');
  for (int i = 0; i < 100'000; ++i) deep += "i" + std::string("\1\0\0\0\0\0\0\0", 8);
  EXPECT_FALSE(thaw(deep));
}

TEST(Keys, a_digest_is_of_statements_and_parameters) {
  const auto digest = [](std::string text, Value params) { return digest_of({{std::move(text), std::move(params)}}); };
  EXPECT_EQ(digest("a", Value::Array{1}), digest("a", Value::Array{1}));
  EXPECT_NE(digest("a", Value::Array{1}), digest("a", Value::Array{2}));
  EXPECT_NE(digest("a", Value::Array{1}), digest("a", Value::Array{"1"}));
  EXPECT_NE(digest("a", Value::Array{1}), digest("b", Value::Array{1}));
  EXPECT_NE(digest_of({{"a", {}}, {"b", {}}}), digest_of({{"ab", {}}}));
}

}  // namespace
}  // namespace sluice::sql
