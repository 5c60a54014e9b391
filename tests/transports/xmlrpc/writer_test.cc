#include "transports/xmlrpc/writer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "transports/xmlrpc/reader.h"
#include "transports/xmlrpc/scalars.h"

namespace sluice::xmlrpc {
namespace {

constexpr std::size_t kMost = 1 << 20;

std::string written(const Value& value) {
  std::string out;
  write_response(value, kMost, out);
  return out;
}

Value there_and_back(const Value& value) { return std::get<Value>(read_response(written(value))); }

std::string refusal(const Value& value) {
  std::string out = "before";
  try {
    write_response(value, kMost, out);
  } catch (const Fault& fault) {
    EXPECT_EQ(out, "before");
    return fault.what();
  }
  return "accepted: " + out;
}

TEST(Writer, WritesWhatItReads) {
  const Value cases[] = {
      Value(),
      true,
      false,
      0,
      -1,
      std::numeric_limits<std::int32_t>::max(),
      std::int64_t{1} << 31,
      std::numeric_limits<std::int64_t>::min(),
      0.1,
      -0.0,
      1e300,
      5e-324,
      123456789.0,
      std::numeric_limits<double>::infinity(),
      "",
      "  white space  ",
      "a<b>&\"']]>c",
      "CR\r LF\n TAB\t",
      "é世界😀",
      Bytes{std::string("\0\xFF\r\n", 4)},
      DateTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23)),
      Value::Array{},
      Value::Struct{},
      Value::Array{1, Value::Array{"x", Value()}, Value::Struct{{"k&", Value::Array{2.5}}}},
  };
  for (const Value& value : cases) EXPECT_EQ(there_and_back(value), value) << written(value);
}

TEST(Writer, KeepsEveryBitOfADouble) {
  std::mt19937_64 random(20261123);
  for (int i = 0; i < 20'000; ++i) {
    const double d = std::bit_cast<double>(random());
    if (std::isnan(d)) continue;
    std::string text;
    double back = 0;
    write_double(d, text);
    ASSERT_TRUE(read_double(text, back)) << text;
    ASSERT_EQ(std::bit_cast<std::uint64_t>(back), std::bit_cast<std::uint64_t>(d)) << text;
  }
}

TEST(Writer, UsesIntFor32BitsAndI8Beyond) {
  EXPECT_NE(written(2147483647).find("<int>2147483647</int>"), std::string::npos);
  EXPECT_NE(written(2147483648).find("<i8>2147483648</i8>"), std::string::npos);
}

TEST(Writer, RefusesWhatXmlCannotCarryAndSaysWhere) {
  EXPECT_EQ(refusal(Value::Struct{{"rows", Value::Array{Value(Value::Array{"fine", std::string("a\0b", 3)})}}}),
            "result['rows'][0][1]: the text holds the control character 0 at byte 1, which XML cannot carry; as bytes (base64) it can, or by zerorpc");
  EXPECT_NE(refusal("\xFF").find("no UTF-8"), std::string::npos);
  EXPECT_NE(refusal("\xEF\xBF\xBF").find("no UTF-8"), std::string::npos);
  EXPECT_NE(refusal(std::numeric_limits<std::uint64_t>::max()).find("pass it as a string"), std::string::npos);
  EXPECT_NE(refusal(Extension{5, "abc"}).find("extension type 5"), std::string::npos);
}

TEST(Writer, NamesTheLimitOfAnAnswer) {
  Value::Array many(200'000, Value(1));
  EXPECT_NE(refusal(many).find("limits.answer_bytes"), std::string::npos);
  EXPECT_NE(refusal(std::string(kMost + 1, 'a')).find("limits.answer_bytes"), std::string::npos);
  EXPECT_NE(refusal(std::string(kMost / 2, '&')).find("limits.answer_bytes"), std::string::npos);
  EXPECT_NE(refusal(Bytes{std::string(kMost, 'a')}).find("limits.answer_bytes"), std::string::npos);
}

TEST(Writer, RefusesTimesThatFourDigitsOfAYearCannotSay) {
  using namespace std::chrono;
  EXPECT_NE(refusal(DateTime(sys_days(year(10000) / 1 / 1))).find("1 to 9999"), std::string::npos);
  EXPECT_NE(refusal(DateTime(sys_days(year(0) / 12 / 31))).find("1 to 9999"), std::string::npos);
  const Value last = DateTime(sys_days(year(9999) / 12 / 31) + 23h);
  EXPECT_EQ(there_and_back(last), last);
}

TEST(Writer, ReplacesALongUnprintableFaultInOnePass) {
  std::string out;
  write_fault(Fault(Fault::Kind::internal, std::string(4 << 20, '\x01')), out);
  EXPECT_EQ(std::get<RemoteFault>(read_response(out)).text, std::string(4 << 20, '?'));
}

TEST(Writer, AlwaysWritesAFault) {
  std::string out;
  write_fault(Fault(Fault::Kind::internal, std::string("bad \0 \xFF <text>", 14)), out);
  auto fault = std::get<RemoteFault>(read_response(out));
  EXPECT_EQ(fault.code, -32603);
  EXPECT_EQ(fault.text, "bad ? ? <text>");
}

TEST(Writer, WritesCallsThatTheReaderTakes) {
  std::string out;
  write_call("sql.query", {"SELECT 1", Value::Array{1, "two"}}, kMost, out);
  MethodCall call = read_call(out);
  EXPECT_EQ(call.method, "sql.query");
  EXPECT_EQ(call.params, (Value::Array{"SELECT 1", Value::Array{1, "two"}}));
}

}  // namespace
}  // namespace sluice::xmlrpc
