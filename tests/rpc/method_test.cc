#include "rpc/method.h"

#include <gtest/gtest.h>

#include <limits>

#include "rpc/introspection.h"
#include "rpc/nearest.h"

namespace sluice {
namespace {

TEST(Wire, TakesAsAnIntegerWhatHoldsOneExactly) {
  struct Case {
    Value from;
    std::optional<std::int64_t> expected;
  };
  const Case cases[] = {
      {7, 7},
      {7.0, 7},
      {7.5, std::nullopt},
      {0x1p63, std::nullopt},
      {-0x1p63, std::numeric_limits<std::int64_t>::min()},
      {std::numeric_limits<double>::quiet_NaN(), std::nullopt},
      {"9007199254740993", 9007199254740993},
      {"-7", -7},
      {"", std::nullopt},
      {"7 ", std::nullopt},
      {"9223372036854775808", std::nullopt},
      {true, std::nullopt},
      {Value(), std::nullopt},
      {std::uint64_t{1} << 63, std::nullopt},
  };
  for (const auto& [from, expected] : cases) {
    std::int64_t to = -1;
    EXPECT_EQ(Wire<std::int64_t>::take(Value(from), to), expected.has_value()) << describe(from);
    if (expected) {
      EXPECT_EQ(to, *expected);
    }
  }
}

TEST(Introspection, WritesANumberAsARowOfIntsAndARowOfDoubles) {
  Signature add{"number", {{"number", "a", false}, {"number", "b", false}}, false};
  EXPECT_EQ(xmlrpc_signatures(add), (Value::Array{Value::Array{"int", "int", "int"}, Value::Array{"double", "double", "double"}}));
}

TEST(Introspection, GivesPythonNamesAndDefaults) {
  Signature s{"struct", {{"string", "statement", false}, {"array", "params", true}}, false};
  EXPECT_EQ(python_argspec(s), Value(Value::Array{Value::Array{"statement", "params"}, Value(), Value(), Value::Array{Value()}}));
}

TEST(Nearest, FindsASlipOfTheKeyboardAndNoMore) {
  const std::string_view names[] = {"add", "sql.query", "sql.execute"};
  EXPECT_EQ(nearest("sql.qurey", names), "sql.query");
  EXPECT_EQ(nearest("ad", names), "add");
  EXPECT_EQ(nearest("completely.else", names), "");
  EXPECT_EQ(nearest(std::string(10000, 'a'), names), "");
}

}  // namespace
}  // namespace sluice
