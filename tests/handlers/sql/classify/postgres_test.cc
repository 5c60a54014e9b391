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

// Of a shop whose users made functions, operators, types and relations of their own.
struct Shop : Catalogue {
  Volatility volatility(Thing thing, std::string_view, std::string_view name) const override {
    switch (thing) {
      case Thing::function: return name == "price" ? Volatility::stable : name == "quietly_buy" ? Volatility::lying : name == "buy" || name == "lower" ? Volatility::mutating : Volatility::unknown;
      case Thing::operation: return name == "<+>" || name == "+" || name == "=" || name == "<=" ? Volatility::mutating : Volatility::immutable;
      case Thing::type: return name == "basket" ? Volatility::mutating : Volatility::immutable;
      case Thing::relation: return name == "s" ? Volatility::mutating : Volatility::immutable;
    }
    return Volatility::unknown;
  }
};

TEST(PostgresClassify, what_the_catalogue_knows_of_users_functions_counts) {
  const Shop shop;
  EXPECT_EQ(classify_postgres("SELECT price(1)", &shop).kind, Class::read);
  EXPECT_EQ(classify_postgres("SELECT buy(1)", &shop).kind, Class::primary);
  EXPECT_EQ(classify_postgres("SELECT price(1)").kind, Class::primary);
  EXPECT_EQ(classify_postgres("SELECT other.lower('X')").kind, Class::primary) << "not PostgreSQL's own lower()";
}

TEST(PostgresClassify, a_function_that_lies_may_run_while_it_is_planned) {
  const Shop shop;
  EXPECT_EQ(classify_postgres("SELECT quietly_buy(1)", &shop).kind, Class::primary);
  EXPECT_EQ(classify_postgres("EXPLAIN SELECT quietly_buy(1)", &shop).kind, Class::primary);
  EXPECT_EQ(classify_postgres("EXPLAIN SELECT buy(1)", &shop).kind, Class::read);
}

// Of a database that told nothing.
struct Silence : Catalogue {
  Volatility volatility(Thing, std::string_view, std::string_view) const override { return Volatility::unknown; }
};

TEST(PostgresClassify, where_the_catalogue_tells_nothing_each_relation_may_be_a_view) {
  const Silence silence;
  EXPECT_EQ(classify_postgres("SELECT * FROM t", &silence).kind, Class::primary);
  EXPECT_EQ(classify_postgres("SELECT * FROM pg_class, information_schema.tables", &silence).kind, Class::read);
}

TEST(PostgresClassify, after_a_definition_other_statements_may_be_others) {
  for (const char* text : {"CREATE VIEW v AS SELECT 1", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "ALTER FUNCTION f() VOLATILE", "DROP VIEW v", "DO 'BEGIN END'",
                           "SELECT 1; CREATE VIEW v AS SELECT 1"})
    EXPECT_TRUE(classify_postgres(text).defines) << text;
  for (const char* text : {"SELECT 1", "INSERT INTO t VALUES (1)", "CALL p()", "SELECT nextval('s')", "NOTIFY a"}) EXPECT_FALSE(classify_postgres(text).defines) << text;
}

TEST(PostgresClassify, what_may_commit_by_itself_is_known) {
  for (const char* text : {"CALL p()", "DO 'BEGIN COMMIT; END'", "VACUUM", "CREATE DATABASE d", "CREATE INDEX CONCURRENTLY ON t (a)", "SELECT 1; CALL p()"})
    EXPECT_EQ(classify_postgres(text).ends, Ends::perhaps) << text;
  for (const char* text : {"SELECT 1", "INSERT INTO t VALUES (1)", "SELECT p()", "NOTIFY a"}) EXPECT_EQ(classify_postgres(text).ends, Ends::never) << text;
}

TEST(PostgresClassify, a_users_function_of_the_name_of_postgresqls_own_is_as_bad_as_it_is) {
  const Shop shop;
  EXPECT_EQ(classify_postgres("SELECT lower(5)", &shop).kind, Class::primary);
  EXPECT_EQ(classify_postgres("SELECT pg_catalog.lower('X'), upper('x')", &shop).kind, Class::read);
}

TEST(PostgresClassify, a_field_may_be_the_call_of_a_function_that_is_known_to_have_effects) {
  const Shop shop;
  for (const char* text : {"SELECT t.buy FROM t", "SELECT public.t.buy FROM t", "SELECT 1 FROM t JOIN u ON t.buy > 0", "SELECT 1 FROM t GROUP BY t.buy",
                           "SELECT (t).buy FROM t", "SELECT 1 FROM t ORDER BY \"t\".\"buy\""})
    EXPECT_EQ(classify_postgres(text, &shop).kind, Class::primary) << text;
  for (const char* text : {"SELECT buy FROM t", "SELECT t.id, t.name, t.now, t.price, t.unheard_of FROM t"}) EXPECT_EQ(classify_postgres(text, &shop).kind, Class::read) << text;
}

TEST(PostgresClassify, what_calls_without_a_name_is_known_from_the_catalogue) {
  const Shop shop;
  for (const char* text : {"SELECT 1 <+> 2", "SELECT 1 + 2", "SELECT 1 OPERATOR(public.<+>) 2", "SELECT a FROM t ORDER BY a USING <+>", "SELECT 1 <+> ANY (SELECT a FROM t)",
                           "SELECT 1 WHERE 2 BETWEEN 1 AND 3", "SELECT 1 IN (SELECT a FROM t)", "SELECT CASE a WHEN 1 THEN 2 END FROM t", "SELECT 1 FROM t JOIN u USING (a)", "SELECT 1 FROM t NATURAL JOIN u",
                           "SELECT '1'::basket", "SELECT CAST(ARRAY[1] AS basket[])", "SELECT * FROM json_to_record('{}') AS x(a basket)",
                           "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS x basket)", "SELECT (5).basket", "SELECT * FROM s", "TABLE s"})
    EXPECT_EQ(classify_postgres(text, &shop).kind, Class::primary) << text;
  for (const char* text : {"SELECT 1 <-> 2, 1 <*> 2", "SELECT '1'::status", "SELECT t.last_value, is_called FROM t"})
    EXPECT_EQ(classify_postgres(text, &shop).kind, Class::read) << text;
}

}  // namespace
}  // namespace sluice::sql
