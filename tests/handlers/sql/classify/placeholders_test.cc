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

TEST(Placeholders, a_fault_says_what_the_statement_has_and_how_it_is_passed) {
  const auto refuse = [](const char* text, const Value& params) -> std::string {
    try {
      in_order(number_placeholders(text, params.get_if<Value::Struct>() != nullptr), params);
    } catch (const Fault& fault) {
      return fault.message();
    }
    return "";
  };
  EXPECT_EQ(refuse("SELECT ?::int", Value::Struct{{"a", 1}}), "'params' is a struct, but the statement has ? or $1 in it; pass an array, or write :name for each");
  EXPECT_EQ(refuse("SELECT data ? :key", Value::Struct{{"key", "k"}}), "");
  EXPECT_EQ(refuse("SELECT :a::int", Value::Array{1}), "the statement has :a in it; pass 'params' as a struct, or write ? or $1");
  EXPECT_EQ(refuse("SELECT data ? 'k'", Value()), "the statement has 1 parameters, but 0 were given; an operator of PostgreSQL with a ? in it is written with ??");
}

}  // namespace
}  // namespace sluice::sql
