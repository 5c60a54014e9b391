#include "handlers/sql/mariadb/placeholders.h"

#include <gtest/gtest.h>

#include "rpc/fault.h"

namespace sluice::sql::mariadb {
namespace {

struct Case {
  const char* text;
  const char* expected;
  std::vector<std::size_t> order;
};

class MarkedTest : public testing::TestWithParam<Case> {};

TEST_P(MarkedTest, HasQuestionMarksOnly) {
  const Marked marked = mark_placeholders(GetParam().text, false);
  EXPECT_EQ(marked.text, GetParam().expected);
  EXPECT_EQ(marked.order, GetParam().order);
}

INSTANTIATE_TEST_SUITE_P(Texts, MarkedTest,
                         testing::Values(Case{"SELECT 1", "SELECT 1", {}}, Case{"SELECT ?, ?", "SELECT ?, ?", {0, 1}}, Case{"SELECT $2, $1, $2", "SELECT ?, ?, ?", {1, 0, 1}},
                                         Case{"SELECT '?', ?", "SELECT '?', ?", {0}}, Case{"SELECT 'it''s ?', ?", "SELECT 'it''s ?', ?", {0}},
                                         Case{R"(SELECT 'a\'?', ?)", R"(SELECT 'a\'?', ?)", {0}}, Case{"SELECT \"?\", ?", "SELECT \"?\", ?", {0}},
                                         Case{R"(SELECT `a\`, ?)", R"(SELECT `a\`, ?)", {0}},  // a quoted name has no escapes
                                         Case{"SELECT `?`, ?", "SELECT `?`, ?", {0}}, Case{"SELECT 1 -- ?\n, ?", "SELECT 1 -- ?\n, ?", {0}},
                                         Case{"SELECT 1 --?", "SELECT 1 --?", {0}},  // minus minus
                                         Case{"SELECT 1 # ?\n, ?", "SELECT 1 # ?\n, ?", {0}}, Case{"SELECT /* ? */ ?", "SELECT /* ? */ ?", {0}},
                                         Case{"SELECT /*! ? */ ?", "SELECT /*! ? */ ?", {0, 1}}, Case{"SELECT a$1 FROM t", "SELECT a$1 FROM t", {}},
                                         Case{"SELECT @x := ?", "SELECT @x := ?", {0}}, Case{"SELECT 'open ?", "SELECT 'open ?", {}}, Case{"SELECT $0", "SELECT $0", {}}));

TEST(Placeholders, TakeNamesFromAStruct) {
  const Marked marked = mark_placeholders("SELECT :a, :b_2, ':c', :a FROM t WHERE x = `:d`", true);
  EXPECT_EQ(marked.text, "SELECT ?, ?, ':c', ? FROM t WHERE x = `:d`");
  const Value params = Value::Struct{{"b_2", 2}, {"a", 1}, {"unused", 0}};
  const auto values = in_order(marked, params);
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(*values[0], Value(1));
  EXPECT_EQ(*values[1], Value(2));
  EXPECT_EQ(*values[2], Value(1));
}

TEST(Placeholders, SayWhatDoesNotFit) {
  auto refuse = [](const char* text, Value params) -> std::string {
    try {
      in_order(mark_placeholders(text, params.get_if<Value::Struct>() != nullptr), params);
    } catch (const Fault& fault) {
      return fault.message();
    }
    return "";
  };
  EXPECT_EQ(refuse("SELECT ?", Value()), "the statement has 1 parameters, but 0 were given");
  EXPECT_EQ(refuse("SELECT 1", Value::Array{1}), "the statement has 0 parameters, but 1 were given");
  EXPECT_EQ(refuse("SELECT :a", Value::Struct{{"b", 1}}), "the statement has the parameter :a, but 'params' has no member of that name");
  EXPECT_EQ(refuse("SELECT ?, :b", Value::Struct{{"b", 1}}), "'params' is a struct, but the statement has a ? or $1 in it; pass an array, or write :name for each");
  EXPECT_EQ(refuse("SELECT ?", Value::Struct{{"b", 1}}), "'params' is a struct, but the statement has a ? or $1 in it; pass an array, or write :name for each");
  EXPECT_EQ(refuse("SELECT 1", Value("x")), "'params' must be an array for ? and $1, or a struct for :name, not string 'x'");
  EXPECT_EQ(refuse("SELECT ?, ?", Value::Array{1, 2}), "");
}

}  // namespace
}  // namespace sluice::sql::mariadb
