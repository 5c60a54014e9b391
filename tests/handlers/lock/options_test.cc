// What callers pass to lock.*, well and badly.

#include "handlers/lock/options.h"

#include <gtest/gtest.h>

#include <functional>

namespace sluice::lock {
namespace {

using Struct = Value::Struct;

std::string problem(const std::function<void()>& read) {
  try {
    read();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), Fault::Kind::bad_arguments);
    return fault.message();
  }
  return "";
}

TEST(LockOptions, DefaultsAndValues) {
  const AcquireOptions none = read_acquire("acquire", {}, {}, true);
  EXPECT_EQ(none.slots, kExclusive);
  EXPECT_EQ(none.wait.count(), 0);
  EXPECT_FALSE(none.ttl);
  const AcquireOptions all = read_acquire("acquire", {{"owner", "me"}, {"ttl_ms", 500}, {"wait_ms", 7.0}, {"mode", "shared"}, {"session", "s"}, {"db", Value()}}, {}, true);
  EXPECT_EQ(all.owner, "me");
  EXPECT_EQ(all.ttl, milliseconds(500));
  EXPECT_EQ(all.wait, milliseconds(7));
  EXPECT_EQ(all.slots, kShared);
  EXPECT_EQ(all.db, "");
  EXPECT_EQ(read_acquire("acquire", {{"permits", 3}}, {}, true).slots, 3);
}

TEST(LockOptions, WhatIsWrongIsNamed) {
  const std::vector<std::pair<Struct, std::string>> cases{
      {{{"ttl_m", 5}}, "acquire() has no option 'ttl_m'; did you mean 'ttl_ms'?"},
      {{{"ttl_ms", 0}}, "acquire() option 'ttl_ms' must be from 1 to 3600000, not 0"},
      {{{"ttl_ms", "five"}}, "acquire() option 'ttl_ms' must be int, not string 'five'"},
      {{{"wait_ms", -1}}, "acquire() option 'wait_ms' must be from 0 to 3600000, not -1"},
      {{{"mode", "read"}}, "acquire() option 'mode' must be exclusive or shared, not string 'read'"},
      {{{"mode", "shared"}, {"permits", 2}}, "acquire() takes mode 'shared' or permits, not both: a shared lock has room for any number"},
      {{{"owner", ""}}, "acquire() option 'owner' must have from 1 to 200 bytes, not 0"},
      {{{"owner", std::string("a\0b", 3)}}, "acquire() option 'owner' must be UTF-8 without NUL"},
      {{{"zzzzzzzz", 1}}, "acquire() has no option 'zzzzzzzz'; it takes db, mode, owner, permits, session, ttl_ms and wait_ms"},
  };
  for (const auto& [given, words] : cases) EXPECT_EQ(problem([&given = given] { read_acquire("acquire", given, {}, true); }), words);
  EXPECT_EQ(problem([] { read_acquire("try", {{"wait_ms", 5}}, {}, false); }), "try() option 'wait_ms' must be from 0 to 0, not 5");
}

TEST(LockOptions, ALeaseAsItCame) {
  const Value lease(Struct{{"granted", true}, {"name", "a"}, {"owner", "me"}, {"token", "7"}, {"session", "s"}, {"db", "d"}});
  const LeaseArgument one = read_lease("release", lease);
  EXPECT_EQ(one.db, "d");
  EXPECT_EQ(one.session, "s");
  ASSERT_EQ(one.leases.size(), 1u);
  EXPECT_EQ(one.leases[0].token, 7);
  EXPECT_EQ(read_lease("release", Value("a"), Value("me"), Value(7)).leases[0].name, "a");
  EXPECT_EQ(read_lease("release", Value(Struct{{"leases", Value::Array{lease, lease}}})).leases.size(), 2u);
  EXPECT_NE(problem([] { read_lease("release", Value(Struct{{"granted", false}})); }), "");
  EXPECT_NE(problem([] { read_lease("release", Value(Struct{{"name", "a"}, {"owner", "me"}, {"token", "seven"}})); }), "");
  EXPECT_NE(problem([] { read_lease("release", Value("a"), Value("me"), std::nullopt); }), "");
  EXPECT_NE(problem([&] { read_lease("release", lease, Value("me"), std::nullopt); }), "");
  EXPECT_NE(problem([] { read_lease("release", Value(5)); }), "");
}

}  // namespace
}  // namespace sluice::lock
