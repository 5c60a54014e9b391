#include "handlers/sql/mariadb/gtid.h"

#include <gtest/gtest.h>

namespace sluice::sql::mariadb {
namespace {

using cluster::Judgement;
using cluster::Report;

TEST(Gtids, AreReadFromLists) {
  EXPECT_EQ(read_gtids("0-1-100"), (std::vector<Mark>{{0, 1, 100}}));
  EXPECT_EQ(read_gtids("0-1-100,5-3-7"), (std::vector<Mark>{{0, 1, 100}, {5, 3, 7}}));
  EXPECT_EQ(read_gtids("0-1-100, 0-2-7"), (std::vector<Mark>{{0, 1, 100}, {0, 2, 7}}));
  EXPECT_EQ(read_gtids("4294967295-4294967295-18446744073709551615"), (std::vector<Mark>{{4294967295, 4294967295, 18446744073709551615u}}));
}

TEST(Gtids, AreNothingWhenTheyAreNone) {
  for (const char* text : {"", ",", "0", "0-1", "0-1-", "0-1-x", "0-1-2-3", "-1-2", "4294967296-1-1"}) EXPECT_TRUE(read_gtids(text).empty()) << text;
}

Report primary() {
  Report report;
  report.primary = true;
  report.origin = 2;
  report.history = {{0, 1, 100}, {0, 2, 150}, {0, 0, 0}};  // complete from the first change on
  return report;
}

struct Case {
  const char* token;
  Judgement expected;
};

class JudgeTest : public testing::TestWithParam<Case> {};

TEST_P(JudgeTest, OfAPrimaryThatWasPromotedAfter100) {
  EXPECT_EQ(judge(primary(), {"", read_gtids(GetParam().token)}), GetParam().expected) << GetParam().token;
}

INSTANTIATE_TEST_SUITE_P(Tokens, JudgeTest,
                         testing::Values(Case{"0-1-99", Judgement::kept}, Case{"0-1-100", Judgement::kept},
                                         Case{"0-1-101", Judgement::lost},  // written by the old primary, and never replicated
                                         Case{"0-2-140", Judgement::kept}, Case{"0-2-151", Judgement::kept},  // newer than the last look
                                         Case{"0-3-101", Judgement::lost},   // of a server that left no trace
                                         Case{"7-1-5", Judgement::unknown},  // a domain that was never seen
                                         Case{"0-2-150,0-1-101", Judgement::lost}));

TEST(Judge, CannotTellOfAServerWithoutATraceWhenTheBeginningIsNotKnown) {
  Report report = primary();
  report.history = {{0, 2, 150}};
  EXPECT_EQ(judge(report, {"", {{0, 1, 100}}}), Judgement::unknown);
}

TEST(Judge, CannotTellOfWhatWasBeforeTheBeginning) {
  Report report = primary();
  report.history = {{0, 2, 150}, {0, 0, 120}};  // restored from a copy of 120
  EXPECT_EQ(judge(report, {"", {{0, 1, 100}}}), Judgement::unknown);
  EXPECT_EQ(judge(report, {"", {{0, 1, 121}}}), Judgement::lost);
}

}  // namespace
}  // namespace sluice::sql::mariadb
