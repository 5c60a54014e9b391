#include "handlers/sql/cluster/sessions.h"

#include <gtest/gtest.h>

namespace sluice::sql::cluster {
namespace {

Position at(std::uint64_t seq) { return {"system", {{0, 1, seq}}}; }

TEST(Sessions, know_the_furthest_that_was_written_under_a_name) {
  Sessions sessions(10);
  EXPECT_EQ(sessions.find("ann"), nullptr);
  sessions.wrote("ann", at(7)), sessions.wrote("ann", at(5)), sessions.wrote("bob", at(9));
  EXPECT_EQ(*sessions.find("ann"), at(7));
  EXPECT_EQ(*sessions.find("bob"), at(9));
}

TEST(Sessions, read_no_less_than_they_wrote_when_there_are_too_many) {
  Sessions sessions(2);
  sessions.wrote("ann", at(8)), sessions.wrote("bob", at(3));
  sessions.find("ann");
  sessions.wrote("eve", at(9));
  EXPECT_EQ(*sessions.find("bob"), at(3));
  sessions.wrote("adam", at(10));
  EXPECT_EQ(*sessions.find("ann"), at(8));
  EXPECT_EQ(*sessions.find("eve"), at(9));
}

TEST(Sessions, forget_what_is_history_no_more) {
  Sessions sessions(1);
  sessions.wrote("ann", at(8)), sessions.wrote("bob", at(9));
  EXPECT_TRUE(sessions.forget("bob"));
  EXPECT_FALSE(sessions.forget("bob"));
  EXPECT_EQ(sessions.find("ann"), nullptr);
}

}  // namespace
}  // namespace sluice::sql::cluster
