#include <gtest/gtest.h>

#include "handlers/sql/postgres/engine.h"
#include "handlers/sql/postgres/errors.h"

namespace sluice::sql::postgres {
namespace {

using cluster::Judgement;
using cluster::Report;

TEST(PostgresJudge, a_token_of_an_ended_timeline_is_kept_up_to_its_end) {
  const Postgres engine("postgresql://h/db", {});
  Report primary;
  primary.primary = true;
  primary.origin = 3;
  primary.history = {{0, 1, 100}, {0, 2, 200}};
  primary.history_known = true;
  const auto judge = [&](std::uint32_t timeline, std::uint64_t lsn) { return engine.judge(primary, Position{"s", {{0, timeline, lsn}}}); };
  EXPECT_EQ(judge(3, 5000), Judgement::kept);
  EXPECT_EQ(judge(2, 200), Judgement::kept);
  EXPECT_EQ(judge(2, 201), Judgement::lost);
  EXPECT_EQ(judge(1, 100), Judgement::kept);
  EXPECT_EQ(judge(1, 150), Judgement::lost);
  EXPECT_EQ(judge(4, 1), Judgement::unknown) << "a primary that is older than the token";
  primary.history = {{0, 2, 200}};
  primary.history_known = false;
  EXPECT_EQ(judge(1, 50), Judgement::unknown);
  EXPECT_EQ(judge(2, 50), Judgement::kept);
}

TEST(PostgresUrl, names_all_nodes_or_says_what_is_wrong) {
  using Hosts = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(Postgres::hosts("postgresql://u@a:1,b:2/db"), (Hosts{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(Postgres::hosts("postgresql://u@a,b/db"), (Hosts{{"a", "5432"}, {"b", "5432"}}));
  EXPECT_THROW(Postgres::hosts("postgresql://u@a:1,b:2/db?nonsense=1"), std::runtime_error);
}

TEST(PostgresErrors, what_only_a_read_connection_refuses_is_for_the_primary) {
  using cluster::Failure;
  using cluster::Link;
  for (const char* state : {"25006", "25001", "0A000", "55000", "XX000"}) EXPECT_EQ(meaning(state, Link::Use::read), Failure::Kind::refused) << state;
  EXPECT_EQ(meaning("55000", Link::Use::write), Failure::Kind::statement);
  EXPECT_EQ(meaning("25006", Link::Use::write), Failure::Kind::refused);
  EXPECT_EQ(meaning("40001", Link::Use::read), Failure::Kind::retryable);
  EXPECT_EQ(meaning("57P01", Link::Use::write), Failure::Kind::lost);
  EXPECT_EQ(meaning("57P03", Link::Use::write), Failure::Kind::starting);
  EXPECT_EQ(meaning("42P01", Link::Use::read), Failure::Kind::statement);
}

}  // namespace
}  // namespace sluice::sql::postgres
