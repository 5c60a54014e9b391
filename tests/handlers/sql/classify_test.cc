#include "handlers/sql/sqlite/classify.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "handlers/sql/sqlite/connection.h"

namespace sluice::sql::sqlite {
namespace {

class ClassifyTest : public testing::Test {
 protected:
  void SetUp() override {
    writer.run(writer.prepare("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)"), {}, never);
    writer.run(writer.prepare("CREATE VIEW v AS SELECT a FROM t"), {}, never);
    writer.run(writer.prepare("CREATE VIRTUAL TABLE f USING fts4(x)"), {}, never);
    reader = std::make_unique<Connection>(file, Connection::Mode::reader);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string folder = std::filesystem::temp_directory_path() / ("sluice-classify-" + std::to_string(::getpid()));
  std::string file = (std::filesystem::create_directories(folder), folder + "/t.db");
  Stop never = [] { return std::nullopt; };
  Connection writer{file, Connection::Mode::writer};
  std::unique_ptr<Connection> reader;
};

struct Case {
  const char* text;
  Class expected;
};

constexpr auto kRead = Class::read, kWrite = Class::write, kSession = Class::session, kPrimary = Class::primary;

const Case kCases[] = {
    {"SELECT 1", kRead},
    {"SELECT * FROM t", kRead},
    {"SELECT * FROM v", kRead},
    {"  /* c */ -- d\n SELECT a FROM t WHERE b = ? ; ; -- end", kRead},
    {"WITH x AS (SELECT 1) SELECT * FROM x", kRead},
    {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT * FROM n", kRead},
    {"VALUES (1), (2)", kRead},
    {"SELECT random(), abs(-1), datetime('now')", kRead},
    {"SELECT 'INSERT INTO t VALUES (1)'", kRead},
    {"SELECT \"a\" FROM t -- DELETE FROM t", kRead},
    {"SELECT a FROM t UNION SELECT b FROM t ORDER BY 1", kRead},
    {"SELECT (SELECT count(*) FROM t)", kRead},
    {"SELECT * FROM json_each('[1]')", kRead},
    {"SELECT * FROM pragma_table_info('t')", kRead},
    {"EXPLAIN SELECT 1", kRead},
    {"EXPLAIN DELETE FROM t", kRead},
    {"EXPLAIN QUERY PLAN UPDATE t SET b = 1", kRead},
    {"PRAGMA table_info(t)", kRead},
    {"PRAGMA index_list('t')", kRead},
    {"PRAGMA user_version", kRead},
    {"PRAGMA journal_mode", kRead},  // it tells; sqlite3_stmt_readonly calls it a write
    {"PRAGMA foreign_keys", kRead},
    {"PRAGMA integrity_check(1)", kRead},
    {"PRAGMA database_list", kRead},
    {"SELECT last_insert_rowid()", kPrimary},
    {"SELECT changes()", kPrimary},
    {"SELECT TOTAL_CHANGES() FROM t", kPrimary},
    {"SELECT optimize(f) FROM f", kWrite},  // of FTS4; sqlite3_stmt_readonly calls it a read
    {"SELECT * FROM f WHERE f MATCH 'x' AND Optimize(f) = ''", kWrite},
    {"SELECT sqlite_log(1, 'x')", kSession},
    {"INSERT INTO t VALUES (1, 2)", kWrite},
    {"INSERT OR REPLACE INTO t VALUES (1, 2)", kWrite},
    {"INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING", kWrite},
    {"INSERT INTO t SELECT * FROM t WHERE 0", kWrite},
    {"INSERT INTO t VALUES (1, 2) RETURNING a", kWrite},
    {"WITH x AS (SELECT 1) INSERT INTO t SELECT 1, 2 FROM x", kWrite},
    {"WITH x AS (SELECT 1) DELETE FROM t", kWrite},
    {"REPLACE INTO t VALUES (1, 2)", kWrite},
    {"UPDATE t SET b = 1", kWrite},
    {"UPDATE t SET b = 1 WHERE 0", kWrite},
    {"DELETE FROM t", kWrite},
    {"DELETE FROM t WHERE last_insert_rowid() = 1", kWrite},
    {"CREATE TABLE u(a)", kWrite},
    {"CREATE TABLE IF NOT EXISTS t(a)", kWrite},
    {"CREATE TABLE u AS SELECT * FROM t", kWrite},
    {"CREATE INDEX i ON t(b)", kWrite},
    {"CREATE VIEW w AS SELECT 1", kWrite},
    {"CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; END", kWrite},
    {"CREATE VIRTUAL TABLE f USING fts5(x)", kWrite},
    {"DROP TABLE t", kWrite},
    {"DROP VIEW IF EXISTS v", kWrite},
    {"DROP TABLE IF EXISTS nothing", kWrite},
    {"ALTER TABLE t RENAME TO u", kWrite},
    {"ALTER TABLE t ADD COLUMN c", kWrite},
    {"REINDEX", kWrite},
    {"ANALYZE", kWrite},
    {"BEGIN", kSession},
    {"BEGIN IMMEDIATE", kSession},
    {"COMMIT", kSession},
    {"END", kSession},
    {"ROLLBACK", kSession},
    {"SAVEPOINT s", kSession},
    {"RELEASE s", kSession},
    {"ROLLBACK TO s", kSession},
    {"ATTACH 'x.db' AS x", kSession},
    {"VACUUM", kWrite},
    {"-- a comment\n; vacuum main INTO '/tmp/x'", kWrite},
    {"EXPLAIN VACUUM", kRead},
    {"DETACH x", kSession},
    {"PRAGMA synchronous = OFF", kSession},
    {"PRAGMA query_only = 0", kSession},
    {"PRAGMA query_only(0)", kSession},
    {"PRAGMA writable_schema = ON", kSession},
    {"PRAGMA locking_mode = EXCLUSIVE", kSession},
    {"PRAGMA journal_mode = DELETE", kSession},
    {"PRAGMA foreign_keys = OFF", kSession},
    {"PRAGMA user_version = 7", kSession},
    {"PRAGMA auto_vacuum = 1", kSession},
    {"PRAGMA optimize", kSession},
    {"PRAGMA wal_checkpoint", kSession},
    {"PRAGMA incremental_vacuum", kSession},
    {"PRAGMA schema.busy_timeout = 0", kSession},
    {"CREATE TEMP TABLE x(a)", kSession},
    {"CREATE TEMPORARY VIEW x AS SELECT 1", kSession},
    {"CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END", kSession},
};

TEST_F(ClassifyTest, SaysWhatEveryStatementIsOnBothHandles) {
  for (Connection* connection : {&writer, reader.get()})
    for (const auto& [text, expected] : kCases) {
      try {
        EXPECT_EQ(name_of(connection->prepare(text).verdict().kind), name_of(expected)) << text;
      } catch (const Fault& fault) {
        // What does not exist (DETACH x, an unknown schema) may be an error, but is never run.
        EXPECT_NE(expected, kRead) << text << ": " << fault.what();
      }
    }
}

TEST_F(ClassifyTest, PreparingChangesNothing) {
  for (const auto& [text, expected] : kCases)
    try {
      writer.prepare(text);
    } catch (const Fault&) {
    }
  auto value = [&](const char* pragma) { return writer.run(writer.prepare(pragma), {}, never).rows.at(0); };
  EXPECT_EQ(value("PRAGMA journal_mode"), Value(Value::Array{"wal"}));
  EXPECT_EQ(value("PRAGMA foreign_keys"), Value(Value::Array{1}));
  EXPECT_EQ(value("PRAGMA user_version"), Value(Value::Array{0}));
  EXPECT_FALSE(writer.in_transaction());
}

TEST_F(ClassifyTest, AReaderRefusesAWriteEvenIfItGotThere) {
  auto prepared = reader->prepare("DELETE FROM t");
  EXPECT_THROW(reader->run(prepared, {}, never), Fault);
}

TEST_F(ClassifyTest, OneTextIsOneStatement) {
  for (const char* text : {"SELECT 1; DELETE FROM t", "SELECT 1;;x", "SELECT 1 /* a */ ; /* b */ SELECT 2", "SELECT 1; /* open"}) {
    if (std::string_view(text).ends_with("open")) {
      EXPECT_NO_THROW(writer.prepare(text));  // a comment to the end of the text holds nothing
    } else {
      EXPECT_THROW(writer.prepare(text), Fault) << text;
    }
  }
  EXPECT_THROW(writer.prepare(""), Fault);
  EXPECT_THROW(writer.prepare(" -- nothing"), Fault);
}

}  // namespace
}  // namespace sluice::sql::sqlite
