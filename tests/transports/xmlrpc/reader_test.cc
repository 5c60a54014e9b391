#include "transports/xmlrpc/reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace sluice::xmlrpc {
namespace {

using namespace std::chrono;

std::string call_with(std::string_view value) {
  return "<?xml version='1.0'?>\n<methodCall>\n<methodName>m</methodName>\n<params>\n<param>\n" + std::string(value) + "\n</param>\n</params>\n</methodCall>\n";
}

Value read_value(std::string_view value) { return read_call(call_with(value)).params.at(0); }

Fault fault_of(std::string_view document, const ReadLimits& limits = {}) {
  try {
    read_call(document, limits);
  } catch (const Fault& fault) {
    return fault;
  }
  return Fault(Fault::Kind::internal, "it was accepted");
}

struct ValueCase {
  const char* xml;
  Value expected;
};

TEST(Reader, ReadsEveryTypeInEveryFormThatClientsSend) {
  const DateTime noon = sys_days(2026y / November / 23d) + 12h + 34min + 56s;
  const ValueCase cases[] = {
      {"<value><int>7</int></value>", 7},
      {"<value><i4>-7</i4></value>", -7},
      {"<value><int> +007 </int></value>", 7},
      {"<value><i8>9223372036854775807</i8></value>", std::numeric_limits<std::int64_t>::max()},
      {"<value><ex:i8>-9223372036854775808</ex:i8></value>", std::numeric_limits<std::int64_t>::min()},
      {"<value><int>3000000000</int></value>", 3000000000},  // JavaScript clients do that
      {"<value><boolean>1</boolean></value>", true},
      {"<value><boolean>0</boolean></value>", false},
      {"<value><double>1e+22</double></value>", 1e22},
      {"<value><double> -0.5 </double></value>", -0.5},
      {"<value><double>inf</double></value>", std::numeric_limits<double>::infinity()},
      {"<value><double>1e999</double></value>", std::numeric_limits<double>::infinity()},
      {"<value><double>1e-999</double></value>", 0.0},
      {"<value><string>a &lt;&amp;&gt; b</string></value>", "a <&> b"},
      {"<value><string/></value>", ""},
      {"<value>untyped  text\n</value>", "untyped  text\n"},
      {"<value> </value>", " "},
      {"<value></value>", ""},
      {"<value/>", ""},
      {"<value><![CDATA[<b>&amp;]]></value>", "<b>&amp;"},
      {"<value>a<!-- not this -->b<?nor this?>c</value>", "abc"},
      {"<value>&#233;&#x1F600;</value>", "é😀"},
      {"<value>a\r\nb\rc&#13;d</value>", "a\nb\nc\rd"},
      {"<value><nil/></value>", Value()},
      {"<value><nil></nil></value>", Value()},
      {"<value><ex:nil/></value>", Value()},
      {"<value><base64>aGVs\n bG8=\n</base64></value>", Bytes{"hello"}},
      {"<value><base64></base64></value>", Bytes{}},
      {"<value><dateTime.iso8601>20261123T12:34:56</dateTime.iso8601></value>", noon},
      {"<value><dateTime.iso8601>2026-11-23T12:34:56Z</dateTime.iso8601></value>", noon},
      {"<value><dateTime.iso8601>2026-11-23T14:34:56+02:00</dateTime.iso8601></value>", noon},
      {"<value><dateTime.iso8601>20261123T11:04:56-0130</dateTime.iso8601></value>", noon},
      {"<value><dateTime.iso8601>20261123T12:34:56.25</dateTime.iso8601></value>", noon + 250ms},
      {"<value><array><data/></array></value>", Value::Array{}},
      {"<value> <array> <data> <value>1</value> <value><int>2</int></value> </data> </array> </value>", Value::Array{"1", 2}},
      {"<value><struct/></value>", Value::Struct{}},
      {"<value><struct><member><name>a b</name><value><int>1</int></value></member></struct></value>", Value::Struct{{"a b", 1}}},
      {"<value><struct><member><name>a</name><value>1</value></member><member><name>a</name><value>2</value></member></struct></value>",
       Value::Struct{{"a", "2"}}},
      {"<value xmlns:x='y' ><int\n>7</int ></value>", 7},
  };
  for (const auto& [xml, expected] : cases) {
    try {
      EXPECT_EQ(read_value(xml), expected) << xml;
    } catch (const Fault& fault) {
      ADD_FAILURE() << xml << ": " << fault.what();
    }
  }
  EXPECT_TRUE(std::isnan(*read_value("<value><double>nan</double></value>").get_if<double>()));
}

TEST(Reader, LastOfManyMembersOfOneNameWins) {
  std::string xml = "<value><struct>";
  for (int i = 0; i < 50; ++i) xml += "<member><name>n" + std::to_string(i % 25) + "</name><value><int>" + std::to_string(i) + "</int></value></member>";
  Value value = read_value(xml + "</struct></value>");
  ASSERT_EQ(value.get_if<Value::Struct>()->size(), 25u);
  EXPECT_EQ(*value.find("n3"), Value(28));
}

TEST(Reader, ReadsTheWholeDocumentAroundTheValues) {
  EXPECT_EQ(read_call("<methodCall><methodName> sql.query </methodName></methodCall>").method, "sql.query");
  EXPECT_TRUE(read_call("<methodCall><methodName>m</methodName><params/></methodCall>").params.empty());
  EXPECT_EQ(read_call("\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\" standalone='yes'?><!-- c --><?pi x?>"
                      "<methodCall><methodName>m</methodName><params></params></methodCall> <!-- after --> ")
                .method,
            "m");
}

TEST(Reader, ReadsOtherEncodings) {
  EXPECT_EQ(read_call("<?xml version='1.0' encoding='ISO-8859-1'?><methodCall><methodName>caf\xE9</methodName></methodCall>").method, "café");
  EXPECT_EQ(read_call("<?xml version='1.0' encoding='windows-1252'?><methodCall><methodName>\x80</methodName></methodCall>").method, "€");
  std::string utf16 = "\xFF\xFE";
  for (char c : std::string_view("<methodCall><methodName>m</methodName></methodCall>")) utf16 += {c, '\0'};
  EXPECT_EQ(read_call(utf16).method, "m");
}

struct BadCase {
  const char* document;
  Fault::Kind kind;
};

TEST(Reader, RefusesWhatIsNotWellFormedOrNoCall) {
  constexpr auto parse = Fault::Kind::parse_error, shape = Fault::Kind::invalid_request, character = Fault::Kind::invalid_character;
  const BadCase cases[] = {
      {"", parse},
      {"   ", parse},
      {"hello", shape},
      {"<methodCall>", parse},
      {"<methodCall><methodName>m</methodName>", parse},
      {"<methodCall><methodName>m</methodCall>", parse},
      {"<methodCall><methodName>m</methodName></methodCall><x/>", parse},
      {"<methodCall><methodName>m</methodName></methodCall>text", parse},
      {"<methodCall></methodCall>", shape},
      {"<methodResponse/>", shape},
      {"<!DOCTYPE methodCall><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><methodCall><methodName>&b;</methodName></methodCall>", parse},
      {" <?xml version='1.0'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0' encoding='EBCDIC-CP-BE'?><methodCall/>", Fault::Kind::unsupported_encoding},
      {"<?xml encoding='UTF-8'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1 0'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version=''?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version=1.0?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0\"?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0'encoding='UTF-8'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0' encoding=''?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml encoding='UTF-8' version='1.0'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0' standalone='maybe'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0' charset='UTF-8'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<?xml version='1.0' version='1.0'?><methodCall><methodName>m</methodName></methodCall>", parse},
      {"<methodCall><methodName>\xFF</methodName></methodCall>", character},
      {"<methodCall><methodName>\xC0\x80</methodName></methodCall>", character},
      {"<methodCall><methodName>\xED\xA0\x80</methodName></methodCall>", character},
      {"<methodCall><methodName>\xEF\xBF\xBE</methodName></methodCall>", character},
      {"<methodCall><methodName>\x01</methodName></methodCall>", character},
      {"<methodCall><methodName>&#0;</methodName></methodCall>", character},
      {"<methodCall><methodName>&#xD800;</methodName></methodCall>", character},
      {"<methodCall><methodName>&nbsp;</methodName></methodCall>", parse},
      {"<methodCall><methodName>a & b</methodName></methodCall>", parse},
      {"<methodCall><methodName>a]]>b</methodName></methodCall>", parse},
      {"<methodCall><methodName><!-- a -- b --></methodName></methodCall>", parse},
      {"<methodCall><methodName a=1>m</methodName></methodCall>", parse},
      {"<methodCall><methodName a='1' a='2'>m</methodName></methodCall>", parse},
      {"<methodCall><methodName a='<'>m</methodName></methodCall>", parse},
      {"<methodCall><methodName>m</methodName><params><param></param></params></methodCall>", shape},
      {"<methodCall><methodName>m</methodName><params><value/></params></methodCall>", shape},
      {"<methodCall><methodName>m</methodName><params/><params/></methodCall>", shape},
      {"< methodCall/>", parse},
      {"<methodCall/ >", parse},
  };
  for (const auto& [document, kind] : cases) {
    Fault fault = fault_of(document);
    EXPECT_EQ(codes(fault.kind()).name, codes(kind).name) << document << "\n" << fault.what();
  }
}

TEST(Reader, RefusesValuesThatTheirTypeDoesNotAllow) {
  const char* values[] = {
      "<value><int></int></value>",
      "<value><int>7x</int></value>",
      "<value><int>7.0</int></value>",
      "<value><int>+-7</int></value>",
      "<value><i8>9223372036854775808</i8></value>",
      "<value><boolean>2</boolean></value>",
      "<value><boolean>true</boolean></value>",
      "<value><double>1,5</double></value>",
      "<value><double></double></value>",
      "<value><double>0x10</double></value>",
      "<value><base64>aGVsbG8</base64></value>",
      "<value><base64>a===</base64></value>",
      "<value><base64>aG!s</base64></value>",
      "<value><dateTime.iso8601>20261323T00:00:00</dateTime.iso8601></value>",
      "<value><dateTime.iso8601>yesterday</dateTime.iso8601></value>",
      "<value><dateTime.iso8601>99991231T23:59:59-01:00</dateTime.iso8601></value>",
      "<value><dateTime.iso8601>20261123T00:00:00+24:00</dateTime.iso8601></value>",
      "<value><double>nan(7)</double></value>",
      "<value><nil>x</nil></value>",
      "<value>text<int>7</int></value>",
      "<value><int>7</int>text</value>",
      "<value><int>7</int><int>8</int></value>",
      "<value><integer>7</integer></value>",
      "<value><array/></value>",
      "<value><array><value>1</value></array></value>",
      "<value><struct><member><value>1</value><name>a</name></member></struct></value>",
      "<value><struct><member><name>a</name></member></struct></value>",
      "<value><int><i4>7</i4></int></value>",
  };
  for (const char* value : values) {
    Fault fault = fault_of(call_with(value));
    EXPECT_EQ(codes(fault.kind()).name, "invalid_request") << value << "\n" << fault.what();
  }
}

TEST(Reader, SaysWhereAndWhat) {
  EXPECT_STREQ(fault_of(call_with("<value><int>seven</int></value>")).what(),
               "line 6, column 24: <int> must hold an integer of at most 64 bits, not 'seven'");
  EXPECT_STREQ(fault_of("<methodCall/>").what(), "line 1, column 14: <methodCall/> is empty; expected <methodCall> with its content");
}

TEST(Reader, StopsAtTheDepthWhateverFollows) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "<value><array><data>";
  EXPECT_EQ(fault_of("<methodCall><methodName>m</methodName><params><param>" + deep).kind(), Fault::Kind::too_large);
  std::string fits = "<value><int>1</int></value>";
  for (int i = 0; i < 64; ++i) fits = "<value><array><data>" + fits + "</data></array></value>";
  EXPECT_NO_THROW(read_value(fits));
}

TEST(Reader, CountsValues) {
  std::string xml = "<value><array><data>";
  for (int i = 0; i < 20; ++i) xml += "<value/>";
  EXPECT_EQ(fault_of(call_with(xml + "</data></array></value>"), {.depth = 64, .values = 20}).kind(), Fault::Kind::too_large);
}

TEST(Reader, ReadsResponses) {
  auto seven = read_response("<methodResponse><params><param><value><int>7</int></value></param></params></methodResponse>");
  EXPECT_EQ(std::get<Value>(seven), Value(7));
  auto fault = std::get<RemoteFault>(read_response("<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value></member>"
                                                   "<member><name>faultString</name><value>no</value></member></struct></value></fault></methodResponse>"));
  EXPECT_EQ(fault.code, 4);
  EXPECT_EQ(fault.text, "no");
}

}  // namespace
}  // namespace sluice::xmlrpc
