// Each row of the corpus is what it says, in every dialect, without a server. tests/integration/test_corpus.py runs the same rows on
// real servers.

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "handlers/sql/dialects.h"

namespace sluice::sql {
namespace {

class Corpus : public testing::TestWithParam<std::string> {};

TEST_P(Corpus, every_row_is_what_it_says) {
  std::ifstream file(SLUICE_CORPUS "/" + GetParam() + ".tsv");
  std::string line;
  int rows = 0;
  while (std::getline(file, line)) {
    const auto tab = line.find('\t');
    ASSERT_NE(tab, line.npos) << line;
    const auto verdict = classify(GetParam(), line.substr(tab + 1));
    ASSERT_TRUE(verdict);
    EXPECT_EQ(name_of(verdict->kind), line.substr(0, tab)) << line.substr(tab + 1) << "\n  because " << verdict->why;
    EXPECT_FALSE(verdict->why.empty()) << line;
    ++rows;
  }
  EXPECT_GT(rows, 70);
}

INSTANTIATE_TEST_SUITE_P(Dialects, Corpus, testing::Values("postgresql", "mariadb", "sqlite"), [](const auto& info) { return info.param; });

TEST(Classify, knows_three_dialects) { EXPECT_FALSE(classify("oracle", "SELECT 1")); }

}  // namespace
}  // namespace sluice::sql
