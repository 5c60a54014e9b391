#include "handlers/sql/classify/mariadb.h"

#include <gtest/gtest.h>

namespace sluice::sql {
namespace {

struct Case {
  const char* text;
  Class expected;
};

class MariaDbClassTest : public testing::TestWithParam<Case> {};

TEST_P(MariaDbClassTest, IsAsExpected) {
  const Verdict verdict = classify_mariadb(GetParam().text);
  EXPECT_EQ(name_of(verdict.kind), name_of(GetParam().expected)) << GetParam().text << "\n  because " << verdict.why;
  EXPECT_FALSE(verdict.why.empty());
}

constexpr auto R = Class::read, W = Class::write, S = Class::session, P = Class::primary;

INSTANTIATE_TEST_SUITE_P(
    Reads, MariaDbClassTest,
    testing::Values(
        Case{"SELECT 1", R}, Case{"select * from t", R}, Case{"  /* c */ SELECT 1", R}, Case{"-- c\nSELECT 1", R}, Case{"# c\nSELECT 1", R}, Case{"SELECT 1;", R},
        Case{"SELECT 1; SELECT 2", R}, Case{"(SELECT 1)", R}, Case{"((SELECT 1)) UNION (SELECT 2)", R}, Case{"VALUES (1), (2)", R},
        Case{"WITH x AS (SELECT 1) SELECT * FROM x", R}, Case{"WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 9) SELECT * FROM x", R},
        Case{"WITH `x`(n) AS (SELECT 1), y (m) AS (SELECT 2) SELECT * FROM x, y", R}, Case{"SELECT COUNT(*), MAX(a), concat('x', b) FROM t GROUP BY c HAVING COUNT(*) > 1", R},
        Case{"SELECT ROW_NUMBER() OVER (PARTITION BY a ORDER BY b) FROM t", R}, Case{"SELECT SUM(a) OVER w FROM t WINDOW w AS (ORDER BY b)", R},
        Case{"SELECT 'FOR UPDATE INTO OUTFILE'", R}, Case{"SELECT `into` FROM `update`", R}, Case{"SELECT REPLACE(a, 'x', 'y'), INSERT(a, 1, 1, 'z') FROM t", R},
        Case{"SELECT JSON_EXTRACT(a, '$.b') FROM t", R}, Case{"SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a INT PATH '$')) AS j", R},
        Case{"SELECT CAST(a AS DECIMAL(10,2)), CONVERT(b USING utf8mb4) FROM t", R}, Case{"SELECT * FROM t USE INDEX (i) WHERE a IN (SELECT b FROM u)", R},
        Case{"SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP('2026-01-01')", R}, Case{"SELECT * FROM a LEFT JOIN (b CROSS JOIN c) ON (a.x = b.x)", R},
        Case{"SELECT SQL_NO_CACHE HIGH_PRIORITY 1", R}, Case{"SELECT NOW(), UUID(), RAND(), USER(), DATABASE(), VERSION()", R}, Case{"SELECT x'1f', N'a', _utf8mb4'b', 1e5, 0x1F", R},
        Case{"SELECT ST_AsText(g), POINT(1, 2) FROM t", R}, Case{"SELECT 1 /*! + 1 */", R}, Case{"SELECT 1 /*!50701 INTO OUTFILE '/tmp/x' */", R}, Case{"SELECT DATE '2026-01-01' + INTERVAL 1 DAY", R},
        Case{"SHOW TABLES", R}, Case{"SHOW FULL COLUMNS FROM t", R}, Case{"SHOW CREATE TABLE t", R}, Case{"SHOW TABLE STATUS LIKE 't%'", R}, Case{"DESCRIBE t", R}, Case{"DESC t", R},
        Case{"EXPLAIN t", R}, Case{"EXPLAIN SELECT 1", R}, Case{"EXPLAIN EXTENDED SELECT * FROM t", R}, Case{"EXPLAIN FORMAT=JSON SELECT 1", R}, Case{"ANALYZE SELECT 1", R},
        Case{"ANALYZE FORMAT=JSON SELECT 1", R}, Case{"SELECT SLEEP(0)", R}, Case{"SELECT a.b.c FROM a.b", R}, Case{"SELECT * FROM t LIMIT 5 OFFSET 2", R}));

// What other settings of sql_mode make of it: ANSI_QUOTES, in which a backslash within "..." is one, and ORACLE.
INSTANTIATE_TEST_SUITE_P(
    OtherModes, MariaDbClassTest,
    testing::Values(
        Case{"SELECT 'a\\'' AS \"b\\\", GET_LOCK('audit',0) -- '\" #\"", S}, Case{"SELECT 'a\\'' AS \"b\\\", 1 INTO OUTFILE '/x' -- '\" #\"", W},
        Case{"SELECT s.`nextval`", P}, Case{"SELECT s.\"nextval\"", P}, Case{"SELECT s.`currval`", P}));

INSTANTIATE_TEST_SUITE_P(
    Writes, MariaDbClassTest,
    testing::Values(
        Case{"INSERT INTO t VALUES (1)", W}, Case{"insert into t select * from u", W}, Case{"UPDATE t SET a = 1", W}, Case{"DELETE FROM t", W}, Case{"REPLACE INTO t VALUES (1)", W},
        Case{"CREATE TABLE t (a INT)", W}, Case{"DROP TABLE t", W}, Case{"ALTER TABLE t ADD b INT", W}, Case{"TRUNCATE t", W}, Case{"RENAME TABLE a TO b", W}, Case{"CALL p()", W},
        Case{"LOAD DATA INFILE 'x' INTO TABLE t", W}, Case{"SELECT * INTO OUTFILE '/tmp/x' FROM t", W}, Case{"SELECT * FROM t INTO DUMPFILE '/tmp/x'", W},
        Case{"SELECT NEXT VALUE FOR s", W}, Case{"SELECT NEXTVAL(s)", W}, Case{"SELECT nextval (s)", W}, Case{"SELECT SETVAL(s, 5)", W}, Case{"ANALYZE UPDATE t SET a = 1", W},
        Case{"ANALYZE FORMAT=JSON DELETE FROM t", W}, Case{"ANALYZE TABLE t", W}, Case{"OPTIMIZE TABLE t", W}, Case{"GRANT ALL ON *.* TO a", W}, Case{"FLUSH TABLES", W}, Case{"KILL 5", W},
        Case{"SET GLOBAL read_only = 0", W}, Case{"SET @@global.read_only = 0", W}, Case{"SET PASSWORD = 'x'", W}, Case{"SET STATEMENT max_statement_time = 1 FOR DELETE FROM t", W},
        Case{"EXECUTE IMMEDIATE 'DELETE FROM t'", W}, Case{"BEGIN NOT ATOMIC DELETE FROM t; END", W}, Case{"IF 1 THEN DELETE FROM t; END IF", W}, Case{"START SLAVE", W}, Case{"STOP SLAVE", W},
        Case{"CHANGE MASTER TO master_host = 'x'", W}, Case{"SELECT 1; DELETE FROM t", W}, Case{"/*! DELETE FROM t */", W}, Case{"/*!50000 DELETE FROM t */", W}, Case{"/*M! DELETE FROM t */", W},
        Case{"SELECT 1 /*! INTO OUTFILE '/tmp/x' */", W}, Case{"SELECT 1 /*!50699 INTO OUTFILE '/tmp/x' */", W}, Case{"SELECT /*!99999 ' */ 1 INTO OUTFILE '/tmp/x' -- '", W},
        Case{R"(SELECT 'a\' INTO OUTFILE '/tmp/x' -- ')", W}, Case{"WITH x AS (SELECT 1) DELETE FROM t", W}, Case{"WITH x AS (SELECT 1) UPDATE t SET a = 1", W}, Case{"SHUTDOWN", W},
        Case{"INSTALL PLUGIN x SONAME 'y'", W}, Case{"PURGE BINARY LOGS TO 'x'", W}, Case{"RESET MASTER", W}, Case{"SIGNAL SQLSTATE '45000'", W}, Case{"DO NEXTVAL(s)", W}));

INSTANTIATE_TEST_SUITE_P(
    Session, MariaDbClassTest,
    testing::Values(
        Case{"SET autocommit = 0", S}, Case{"SET @x = 1", S}, Case{"SET NAMES latin1", S}, Case{"SET SESSION TRANSACTION READ WRITE", S}, Case{"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", S},
        Case{"BEGIN", S}, Case{"START TRANSACTION", S}, Case{"START TRANSACTION READ WRITE", S}, Case{"COMMIT", S}, Case{"ROLLBACK", S}, Case{"SAVEPOINT a", S}, Case{"XA START 'x'", S},
        Case{"LOCK TABLES t WRITE", S}, Case{"UNLOCK TABLES", S}, Case{"PREPARE s FROM 'DELETE FROM t'", S}, Case{"EXECUTE s", S}, Case{"DEALLOCATE PREPARE s", S}, Case{"USE other", S},
        Case{"HANDLER t OPEN", S}, Case{"CREATE TEMPORARY TABLE t (a INT)", S}, Case{"DROP TEMPORARY TABLE t", S}, Case{"CREATE OR REPLACE TEMPORARY TABLE t (a INT)", S},
        Case{"SELECT GET_LOCK('a', 1)", S}, Case{"SELECT RELEASE_LOCK('a')", S}, Case{"DO RELEASE_ALL_LOCKS()", S}, Case{"SELECT @a := 1", S}, Case{"SELECT 1 INTO @x", S},
        Case{"SELECT LAST_INSERT_ID(5)", S}, Case{"SHOW WARNINGS", S}, Case{"/*! SET autocommit = 0 */", S}));

INSTANTIATE_TEST_SUITE_P(
    Primary, MariaDbClassTest,
    testing::Values(
        Case{"SELECT * FROM t FOR UPDATE", P}, Case{"SELECT @x", P}, Case{"SELECT * FROM t FOR UPDATE SKIP LOCKED", P}, Case{"SELECT * FROM t LOCK IN SHARE MODE", P}, Case{"SELECT my_function(1)", P},
        Case{"SELECT `sleep`(1)", P}, Case{"SELECT db.f(1)", P}, Case{"SELECT db . count(1)", P}, Case{"SELECT sys_exec('rm')", P}, Case{"SELECT LAST_INSERT_ID()", P}, Case{"SELECT FOUND_ROWS()", P},
        Case{"SELECT @@read_only", P}, Case{"SELECT @@global.gtid_current_pos", P}, Case{"SHOW MASTER STATUS", P}, Case{"SHOW SLAVE STATUS", P}, Case{"SHOW VARIABLES", P}, Case{"SHOW STATUS", P},
        Case{"SHOW PROCESSLIST", P}, Case{"EXPLAIN UPDATE t SET a = 1", P}, Case{"EXPLAIN FOR CONNECTION 5", P}, Case{"SET STATEMENT max_statement_time = 1 FOR SELECT 1", P},
        Case{"SELECT LOAD_FILE('/etc/passwd')", P}, Case{"SELECT s.nextval", P}, Case{"SELECT PREVIOUS VALUE FOR s", P}, Case{"SELECT * FROM t PROCEDURE ANALYSE()", P}, Case{"", P}, Case{";", P},
        Case{"SELECT 'open", P}, Case{"SELECT /* open", P}, Case{"CHECKSUM TABLE t", P}, Case{"DO 1", P}, Case{"SELECT IS_FREE_LOCK('a')", P}, Case{"SELECT 1 + ", R}));

struct MariaDbViews : testing::Test {
  // A is a read of a table; b calls a function of a user's, c reads b, d is not shown to the account, and e of another database moves a sequence.
  const mariadb::Views views{{{"app", "a", "select `app`.`t`.`x` AS `x` from `app`.`t`"},
                              {"app", "c", "select `b`.`y` AS `y` from `app`.`b`"},
                              {"app", "b", "select `app`.`f`() AS `y`"},
                              {"app", "d", ""},
                              {"other", "E", "select nextval(`other`.`s`) AS `n`"},
                              {"app", "odd`name", "select get_lock('x',1) AS `l`"}},
                             "app"};
  Class kind(std::string_view text) const { return classify_mariadb(text, &views).kind; }
};

TEST_F(MariaDbViews, that_call_what_may_have_effects_are_no_reads) {
  for (const char* text : {"SELECT * FROM b", "SELECT * FROM `B`", "SELECT 1 FROM t JOIN c USING (y)", "SELECT (SELECT MAX(y) FROM app.c)", "SELECT `b`.y FROM `app` . `b`", "SELECT * FROM d",
                           "SELECT * FROM other.e", "SELECT * FROM \"b\"", "SELECT * FROM `odd``name`", "WITH x AS (SELECT * FROM b) SELECT 1 FROM x", "EXPLAIN SELECT * FROM b"})
    EXPECT_EQ(kind(text), P) << text;
}

TEST_F(MariaDbViews, that_only_read_are_reads_and_so_are_others_of_a_name_in_another_database) {
  for (const char* text : {"SELECT * FROM a", "SELECT * FROM e", "SELECT * FROM other.b", "SELECT 'b', t.b FROM t", "SHOW CREATE VIEW b"}) EXPECT_EQ(kind(text), R) << text;
}

TEST(MariaDbDefinitions, are_told_from_other_writes) {
  for (const char* text : {"CREATE VIEW v AS SELECT 1", "create or replace view v as select 1", "DROP FUNCTION f", "RENAME TABLE a TO b", "SELECT 1; ALTER VIEW v AS SELECT 2",
                           "BEGIN NOT ATOMIC CREATE VIEW v AS SELECT 1; END", "EXECUTE IMMEDIATE 'CREATE VIEW v AS SELECT 1'", "/*!50001 CREATE VIEW v AS SELECT 1 */"})
    EXPECT_TRUE(classify_mariadb(text).defines) << text;
  for (const char* text : {"INSERT INTO t VALUES (1)", "CALL p()", "SELECT 1"}) EXPECT_FALSE(classify_mariadb(text).defines) << text;
}

TEST(MariaDbTransactions, are_ended_by_definitions_and_by_what_else_commits_by_itself) {
  for (const char* text : {"CREATE TABLE t (a INT)", "drop table t", "ALTER TABLE t ADD b INT", "RENAME TABLE a TO b", "TRUNCATE t", "GRANT SELECT ON t TO a", "ANALYZE TABLE t", "CHECK TABLE t", "FLUSH TABLES",
                           "SET PASSWORD = ''", "/*!50001 CREATE VIEW v AS SELECT 1 */", "SELECT 1; DROP TABLE t", "SET STATEMENT max_statement_time = 1 FOR ALTER TABLE t ADD b INT"})
    EXPECT_EQ(classify_mariadb(text).ends, Ends::always) << text;
  for (const char* text : {"SELECT 1", "INSERT INTO t VALUES (1)", "REPLACE INTO t VALUES (1)", "CALL p()", "ANALYZE SELECT 1", "LOAD DATA INFILE 'a' INTO TABLE t", "EXPLAIN SELECT 1"})
    EXPECT_EQ(classify_mariadb(text).ends, Ends::never) << text;
}

}  // namespace
}  // namespace sluice::sql
