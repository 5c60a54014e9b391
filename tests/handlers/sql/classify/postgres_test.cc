#include "handlers/sql/classify/postgres.h"

#include <gtest/gtest.h>

#include <thread>

namespace sluice::sql {
namespace {

Class kind(std::string_view text) { return classify_postgres(text).kind; }

TEST(PostgresClassify, nothing_that_nests_or_grows_without_end_brings_it_down) {
  std::string sum = "SELECT 1", brackets = "SELECT ", lists = "SELECT ";
  for (int i = 0; i < 100'000; ++i) sum += "+1";
  brackets += std::string(9000, '(') + "1" + std::string(9000, ')');
  lists += std::string(100'000, '(');
  EXPECT_EQ(kind(sum), Class::primary);
  EXPECT_NE(kind(brackets), Class::write);
  EXPECT_EQ(kind(lists), Class::primary);
  EXPECT_EQ(kind(std::string(2 << 20, ' ') + "SELECT 1"), Class::primary);
  EXPECT_EQ(kind(std::string_view("SELECT 1\0; DELETE FROM t", 24)), Class::primary);
}

TEST(PostgresClassify, threads_do_not_get_in_each_others_way) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([] {
      for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(kind("SELECT a FROM t WHERE b = $1"), Class::read);
        EXPECT_EQ(kind("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x"), Class::write);
        EXPECT_EQ(kind("SELECT FROM FROM"), Class::primary);
      }
    });
  for (auto& thread : threads) thread.join();
}

struct Shop : Catalogue {
  Volatility volatility(std::string_view, std::string_view name) const override {
    return name == "price" ? Volatility::stable : name == "buy" ? Volatility::mutating : Volatility::unknown;
  }
};

TEST(PostgresClassify, what_the_catalogue_knows_of_users_functions_counts) {
  const Shop shop;
  EXPECT_EQ(classify_postgres("SELECT price(1)", &shop).kind, Class::read);
  EXPECT_EQ(classify_postgres("SELECT buy(1)", &shop).kind, Class::primary);
  EXPECT_EQ(classify_postgres("SELECT price(1)").kind, Class::primary);
  EXPECT_EQ(classify_postgres("SELECT other.lower('X')").kind, Class::primary) << "not PostgreSQL's own lower()";
}

}  // namespace
}  // namespace sluice::sql
