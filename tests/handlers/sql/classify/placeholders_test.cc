#include "handlers/sql/classify/placeholders.h"

#include <gtest/gtest.h>

#include "rpc/fault.h"

namespace sluice::sql {
namespace {

TEST(Placeholders, marks_become_numbers_outside_of_quotes) {
  const std::vector<std::array<const char*, 2>> rows{
      {"SELECT ?", "SELECT $1"},
      {"a = ? AND b = ?", "a = $1 AND b = $2"},
      {"'?' || ?", "'?' || $1"},
      {"'it''s ?' || ?", "'it''s ?' || $1"},
      {"E'\\'?' || ?", "E'\\'?' || $1"},
      {"'\\' || ?", "'\\' || $1"},
      {"\"a?\" = ?", "\"a?\" = $1"},
      {"-- ?\n?", "-- ?\n$1"},
      {"/* ? /* ? */ ? */ ?", "/* ? /* ? */ ? */ $1"},
      {"$$ ? $$ || ?", "$$ ? $$ || $1"},
      {"$x$ ? $$ ? $x$ || ?", "$x$ ? $$ ? $x$ || $1"},
      {"a ?? b AND c = ?", "a ? b AND c = $1"},
      {"data ? $1", "data ? $1"},
      {"x$1 = ?", "x$1 = $1"},
      {"'unclosed ?", "'unclosed ?"},
      {"/* unclosed ?", "/* unclosed ?"},
      {"$tag$ unclosed ?", "$tag$ unclosed ?"},
      {"?::int", "$1::int"},
      {"", ""},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(number_placeholders(text, false).text, expected) << text;
}

TEST(Placeholders, names_become_numbers_and_one_name_one_number) {
  const auto numbered = number_placeholders("SELECT :a::int, :b, ':a', :a, x::text FROM t -- :c", true);
  EXPECT_EQ(numbered.text, "SELECT $1::int, $2, ':a', $1, x::text FROM t -- :c");
  EXPECT_EQ(numbered.names, (std::vector<std::string>{"a", "b"}));
}

TEST(Placeholders, parameters_are_taken_in_order_or_the_fault_says_what_is_missing) {
  const auto marked = number_placeholders("? ?", false);
  const Value two = Value::Array{1, 2};
  EXPECT_EQ(in_order(marked, two).size(), 2u);
  EXPECT_THROW(in_order(marked, Value::Array{1}), Fault);
  EXPECT_THROW(in_order(marked, Value()), Fault);
  EXPECT_THROW(in_order(marked, Value("x")), Fault);
  const auto named = number_placeholders(":a :b", true);
  const Value both = Value::Struct{{"b", 2}, {"a", 1}};
  EXPECT_EQ(*in_order(named, both)[0], Value(1));
  EXPECT_THROW(in_order(number_placeholders("$1 :a", true), Value::Struct{{"a", 1}}), Fault);
  EXPECT_THROW(in_order(named, Value::Struct{{"a", 1}}), Fault);
  EXPECT_THROW(in_order(marked, both), Fault);
}

}  // namespace
}  // namespace sluice::sql
