#include "handlers/sql/named.h"

#include <gtest/gtest.h>

#include "handlers/sql/options.h"

namespace sluice::sql {
namespace {

TEST(Named, ReadsNamesParametersAndText) {
  auto all = parse_named("f.sql",
                         "-- A file's own comment.\n"
                         "-- name: city.by_country\n-- read\n-- param: country text\n-- param: most int\n-- doc: Cities of a country,\n-- doc: by name.\n"
                         "SELECT name -- not a header: name: x\nFROM city\nWHERE country = ? LIMIT ?;\n\n"
                         "--name:city.drop\n--write\nDELETE FROM city\n");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "city.by_country");
  EXPECT_FALSE(all[0].writes);
  EXPECT_EQ(all[0].help, "Cities of a country, by name.");
  ASSERT_EQ(all[0].parameters.size(), 2u);
  EXPECT_EQ(all[0].parameters[0].type, "string");
  EXPECT_EQ(all[0].parameters[1].name, "most");
  EXPECT_EQ(all[0].text, "SELECT name -- not a header: name: x\nFROM city\nWHERE country = ? LIMIT ?");
  EXPECT_EQ(all[0].line, 2);
  EXPECT_TRUE(all[1].writes);
}

TEST(Named, TellsThePlaceOfWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "f.sql:1:1: the file has no statement; one begins with '-- name: handler.method'"},
      {"SELECT 1\n", "f.sql:1:1: a statement needs a name first: '-- name: handler.method'"},
      {"-- name: nodot\n-- read\nSELECT 1", "f.sql:1:10: expected a name such as city.by_country, of letters, digits, '_' and a dot"},
      {"-- name: a.b\nSELECT 1", "f.sql:1:1: a.b does not say '-- read' or '-- write'"},
      {"-- name: a.b\n-- read\n", "f.sql:1:1: a.b has no statement"},
      {"-- name: a.b\n-- read\n-- write\nSELECT 1", "f.sql:3:4: 'read' or 'write' stands once"},
      {"-- name: a.b\n-- read\n-- param: x txt\nSELECT 1", "f.sql:3:13: 'txt' is no type; did you mean 'text'?"},
      {"-- name: a.b\n-- read\n-- params: x text\nSELECT 1", "f.sql:3:4: 'params' is no header; did you mean 'param'?"},
  };
  for (const auto& [content, expected] : cases) {
    try {
      parse_named("f.sql", content);
      ADD_FAILURE() << content;
    } catch (const Fault& fault) {
      EXPECT_STREQ(fault.what(), expected);
    }
  }
}

TEST(Options, AreReadAndCheckedByName) {
  EXPECT_EQ(read_options("query", {{"after", "t"}}).level, Level::after);
  EXPECT_EQ(read_options("query", {{"after", ""}}).level, Level::any);  // the token of a call that wrote nothing
  EXPECT_EQ(read_options("query", {{"level", "after"}, {"after", ""}}).level, Level::any);
  EXPECT_EQ(read_options("query", {{"max_lag_ms", 10}}).level, Level::bounded);
  EXPECT_EQ(read_options("query", {{"level", "primary"}, {"after", Value()}}).level, Level::primary);
  EXPECT_EQ(read_options("query", {{"timeout_ms", 250.0}}).timeout_ms, 250);
  const std::pair<Value::Struct, const char*> wrong[] = {
      {{{"tmeout_ms", 1}}, "query() has no option 'tmeout_ms'; did you mean 'timeout_ms'?"},
      {{{"timeout_ms", 0}}, "query() option 'timeout_ms' must be more than 0, not int 0"},
      {{{"timeout_ms", "soon"}}, "query() option 'timeout_ms' must be int, not string 'soon'"},
      {{{"level", "some"}}, "query() option 'level' must be any, bounded, after, latest or primary, not string 'some'"},
      {{{"level", "after"}}, "query() with level 'after' needs the option 'after': the token of a write's answer"},
      {{{"tx", ""}}, "query() option 'tx' must be a handle of sql.begin, not an empty string"},
  };
  for (const auto& [given, expected] : wrong) {
    try {
      read_options("query", given);
      ADD_FAILURE() << expected;
    } catch (const Fault& fault) {
      EXPECT_STREQ(fault.what(), expected);
    }
  }
}

}  // namespace
}  // namespace sluice::sql
