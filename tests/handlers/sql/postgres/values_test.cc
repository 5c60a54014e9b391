#include "handlers/sql/postgres/values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "rpc/fault.h"

namespace sluice::sql::postgres {
namespace {

using namespace std::chrono;

TEST(PostgresValues, columns_become_values_by_their_type) {
  const DateTime noon = DateTime(sys_days(year(2026) / 1 / 31)) + hours(12) + microseconds(5);
  const std::vector<std::tuple<Oid, const char*, Value>> rows{
      {16, "t", true}, {16, "f", false}, {21, "-3", -3}, {20, "9223372036854775807", std::numeric_limits<std::int64_t>::max()}, {701, "1.5", 1.5},
      {701, "Infinity", std::numeric_limits<double>::infinity()}, {1700, "1.50", "1.50"}, {25, "", ""}, {17, "\\x00ff", Bytes{std::string("\0\xff", 2)}}, {17, "\\x", Bytes{}},
      {1114, "2026-01-31 12:00:00.000005", noon}, {1184, "2026-01-31 12:00:00.000005+00", noon}, {1184, "infinity", "infinity"}, {1114, "0044-03-15 00:00:00 BC", "0044-03-15 00:00:00 BC"},
      {1082, "2026-01-31", "2026-01-31"}, {2950, "a0ee", "a0ee"}, {114, "{\"a\": 1}", "{\"a\": 1}"}, {1007, "{1,NULL,3}", Value::Array{1, Value(), 3}}, {1007, "{}", Value::Array{}},
      {1009, "{a,\"b,\\\"c\\\\\",\"\",NULL,\"NULL\"}", Value::Array{"a", "b,\"c\\", "", Value(), "NULL"}}, {1007, "{{1,2},{3,4}}", Value::Array{Value::Array{1, 2}, Value::Array{3, 4}}},
      {1001, "{\"\\\\x00\"}", Value::Array{Bytes{std::string("\0", 1)}}}, {1007, "[0:1]={1,2}", "[0:1]={1,2}"}, {1007, "{1,", "{1,"}, {99999, "{x}", "{x}"},
  };
  for (const auto& [type, text, expected] : rows) EXPECT_EQ(decode(type, text), expected) << type << " " << text;
}

TEST(PostgresValues, parameters_carry_the_type_that_they_have) {
  const std::vector<std::tuple<Value, Oid, std::string>> rows{
      {true, 16, "t"}, {5, 23, "5"}, {std::int64_t{1} << 40, 20, "1099511627776"}, {~std::uint64_t{0}, 0, "18446744073709551615"}, {0.1, 701, "0.1"}, {"it's", 0, "it's"},
      {std::nan(""), 701, "NaN"}, {DateTime(), 1184, "1970-01-01 00:00:00.000000+00"}, {Value::Array{1, Value(), "a\"b\\"}, 0, "{\"1\",NULL,\"a\\\"b\\\\\"}"},
      {Value::Struct{{"a", Value::Array{1, 0.5, "x\n", Value()}}}, 0, "{\"a\":[1,0.5,\"x\\u000a\",null]}"}, {Value::Array{Value::Array{1}, Value::Array{2}}, 0, "{{\"1\"},{\"2\"}}"},
  };
  for (const auto& [value, type, text] : rows) {
    const Parameter parameter = encode(value);
    EXPECT_EQ(parameter.type, type) << text;
    EXPECT_EQ(parameter.text, text);
  }
  EXPECT_TRUE(encode(Value()).null);
  EXPECT_TRUE(encode(Bytes{"x"}).binary);
  EXPECT_THROW(encode(std::string("a\0b", 3)), Fault);
  EXPECT_THROW(encode(Extension{1, "x"}), Fault);
  Value deep = 1;
  for (int i = 0; i < 1000; ++i) deep = Value::Array{Value(std::move(deep))};
  EXPECT_THROW(encode(deep), Fault);
}

}  // namespace
}  // namespace sluice::sql::postgres
