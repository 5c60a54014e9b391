// Patterns, what several roles allow together, and the pace of calls.

#include "gateway/access/role.h"

#include <gtest/gtest.h>

#include "gateway/access/user.h"
#include "rpc/system.h"

namespace sluice::access {
namespace {

TEST(Pattern, MatchesAsAShellDoesExceptThatADotIsNothingSpecial) {
  struct Row {
    const char *glob, *name;
    bool fits;
  };
  for (const Row& row : {Row{"*", "", true}, {"*", "sql.query", true}, {"sql.*", "sql.query", true}, {"sql.*", "sql.", true}, {"sql.*", "sqlx.query", false},
                         {"sql.query", "sql.query", true}, {"sql.query", "sql.query2", false}, {"", "", true}, {"", "a", false}, {"?", "a", true},
                         {"?", "", false}, {"*.get", "city.get", true}, {"*.get", "city.getx", false}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbY", false},
                         {"a**", "a", true}, {"[ab]", "a", false}, {"SQL.*", "sql.query", false}})
    EXPECT_EQ(matches(row.glob, row.name), row.fits) << row.glob << " on " << row.name;
}

TEST(Pattern, IsNotMadeSlowByStars) {
  std::string glob, name(5000, 'a');
  for (int i = 0; i < 50; ++i) glob += "a*";
  EXPECT_FALSE(matches(glob + "b", name));
}

TEST(Together, AddsRightsUpAndTakesTheMostGenerousLimit) {
  const Role a{.methods = {"a"}, .databases = {"x"}, .statements = "read", .calls_per_s = 5, .in_flight = 0};
  const Role b{.methods = {"b"}, .databases = {"y"}, .statements = "named", .calls_per_s = 7, .in_flight = 3};
  const Role both = together({&a, &b});
  EXPECT_EQ(both.methods, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(both.databases, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(both.statements, "read");
  EXPECT_EQ(both.calls_per_s, 7);
  EXPECT_EQ(both.in_flight, 0);  // no limit
}

TEST(Together, OfNoRolesAllowsNothing) {
  const Role none = together({});
  EXPECT_TRUE(none.methods.empty());
  EXPECT_TRUE(none.databases.empty());
}

TEST(User, MayCallWhatAPatternListsAndHisStatementsAllow) {
  struct Sql : Handler {
    std::string_view name() const override { return "sql"; }
    std::vector<Method> methods() override {
      auto of = [this](const char* name, bool free, Effect effect) {
        Method made = method(name, this, &Sql::nothing, {}, "", effect);
        made.free_sql = free;
        return made;
      };
      return {of("query", true, Effect::read), of("execute", true, Effect::write), of("status", false, Effect::read)};
    }
    void nothing() {}
  } sql;
  Dispatcher dispatcher;
  dispatcher.add(sql);
  auto may = [&](const char* statements) {
    const User user("u", "u", Role{.methods = {"sql.*"}, .statements = statements}, std::make_shared<Usage>(), dispatcher);
    std::string out;
    for (const auto& [name, method] : dispatcher.methods())
      if (user.may_call(method)) out += name + " ";
    return out;
  };
  EXPECT_EQ(may("named"), "sql.status ");
  EXPECT_EQ(may("read"), "sql.query sql.status ");
  EXPECT_EQ(may("write"), "sql.execute sql.query sql.status ");
}

TEST(Pace, LetsATimesWorthComeAtOnceAndThenKeepsThePace) {
  Pace pace;
  const auto start = Clock::now();
  auto taken = [&](Clock::time_point at) {
    int count = 0;
    while (pace.take(10, std::chrono::seconds(1), at)) ++count;
    return count;
  };
  EXPECT_EQ(taken(start), 10);
  EXPECT_EQ(taken(start + std::chrono::milliseconds(100)), 1);
  EXPECT_EQ(taken(start + std::chrono::milliseconds(600)), 5);
  EXPECT_EQ(taken(start + std::chrono::hours(1)), 10);  // what was not used is not saved up
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(pace.take(0, std::chrono::seconds(1), start));
}

}  // namespace
}  // namespace sluice::access
