// The SQLite backend with its threads: group commit under failure, freshness, transactions. Runs under ThreadSanitizer too.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <latch>
#include <thread>

#include "handlers/sql/sqlite/backend.h"

namespace sluice::sql::sqlite {
namespace {

// A caller that waits for its answers, on a loop that nobody runs: the backend's threads give the outcome to `done`.
class Caller : public Responder {
 public:
  using Responder::cancel;
  using Responder::Responder;
  void respond(std::uint64_t, sluice::Outcome&&) override {}
};

class SqliteTest : public testing::Test {
 protected:
  ~SqliteTest() override { std::filesystem::remove_all(folder); }

  using Ask = void (Sqlite::*)(Work);

  Outcome ask(Ask how, std::vector<Statement> statements, Options options = {}, bool expects_write = true) { return ask_later(how, std::move(statements), std::move(options), expects_write).get(); }

  std::future<Outcome> ask_later(Ask how, std::vector<Statement> statements, Options options = {}, bool expects_write = true) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    Work work(Reply(std::make_shared<Caller>(loop)));
    work.statements = std::move(statements);
    work.options = std::move(options);
    work.expects_write = expects_write;
    work.done = [promise](Outcome outcome, Reply reply) {
      reply(Value());
      promise->set_value(std::move(outcome));
    };
    auto answer = promise->get_future();
    (database.*how)(std::move(work));
    return answer;
  }

  Result execute(std::string text, Value params = {}) { return std::get<Result>(ask(&Sqlite::run, {{std::move(text), std::move(params)}})); }
  Fault refused(std::string text, Value params = {}) { return std::get<Fault>(ask(&Sqlite::run, {{std::move(text), std::move(params)}})); }
  Value::Array query(std::string text, Value params = {}) {
    auto outcome = ask(&Sqlite::run, {{std::move(text), std::move(params)}}, {}, false);
    if (auto* fault = std::get_if<Fault>(&outcome)) throw *fault;
    return std::get<Result>(outcome).rows.at(0).rows;
  }

  // Runs `work` in so many threads at once.
  static void at_once(int threads, const std::function<void(int)>& work) {
    std::latch start(threads);
    std::vector<std::jthread> all;
    for (int i = 0; i < threads; ++i)
      all.emplace_back([&, i] {
        start.arrive_and_wait();
        work(i);
      });
  }

  Loop loop;
  std::string folder = (std::filesystem::temp_directory_path() / ("sluice-sqlite-" + std::to_string(::getpid()))).string();
  std::string file = (std::filesystem::create_directories(folder), folder + "/t.db");
  Sqlite database{Settings{.file = file, .readers = 2, .reads_waiting = 1000, .cursors = 4, .writer = {}}};
};

TEST_F(SqliteTest, ReadsWhatWasAcknowledgedFromEveryThread) {
  execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n)");
  std::atomic<int> stale{0};
  at_once(4, [&](int id) {
    execute("INSERT INTO t VALUES (?, 0)", Value::Array{id});
    for (int i = 1; i <= 300; ++i) {
      execute("UPDATE t SET n = ? WHERE id = ?", Value::Array{i, id});
      if (query("SELECT n FROM t WHERE id = ?", Value::Array{id}).at(0) != Value(Value::Array{i})) ++stale;
    }
  });
  EXPECT_EQ(stale, 0);
}

TEST_F(SqliteTest, AFailureInTheBatchTakesNoNeighbourAlong) {
  execute("CREATE TABLE t(n CHECK (n >= 0))");
  execute("CREATE TABLE one(id INTEGER PRIMARY KEY)");
  execute("INSERT INTO one VALUES (1)");
  execute("CREATE TABLE r(a)");
  execute("CREATE TRIGGER bad BEFORE INSERT ON r BEGIN SELECT RAISE(ROLLBACK, 'the trigger says no'); END");
  std::atomic<int> good{0}, bad{0};
  at_once(8, [&](int id) {
    for (int i = 0; i < 50; ++i) {
      const char* text = id % 2 == 0                ? "INSERT INTO t VALUES (1)"
                         : i % 3 == 0               ? "INSERT INTO t VALUES (-1)"
                         : i % 3 == 1               ? "INSERT OR ROLLBACK INTO one VALUES (1)"
                                                    : "INSERT INTO r VALUES (1)";
      auto outcome = ask(&Sqlite::run, {{text, {}}});
      (std::holds_alternative<Result>(outcome) ? good : bad)++;
    }
  });
  EXPECT_EQ(good, 200);
  EXPECT_EQ(bad, 200);
  EXPECT_EQ(query("SELECT count(*) FROM t"), (Value::Array{Value(Value::Array{200})}));
  EXPECT_EQ(query("SELECT count(*) FROM r"), (Value::Array{Value(Value::Array{0})}));
}

TEST_F(SqliteTest, ADeferredConstraintFailsItsOwnCommitAlone) {
  execute("CREATE TABLE parent(id INTEGER PRIMARY KEY)");
  execute("CREATE TABLE child(parent REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)");
  execute("INSERT INTO parent VALUES (1)");
  std::atomic<int> good{0}, bad{0};
  at_once(6, [&](int id) {
    for (int i = 0; i < 30; ++i) {
      auto outcome = ask(&Sqlite::run, {{"INSERT INTO child VALUES (?)", Value::Array{id % 2 ? 1 : 99}}});
      (std::holds_alternative<Result>(outcome) ? good : bad)++;
    }
  });
  EXPECT_EQ(good, 90);
  EXPECT_EQ(bad, 90);
  EXPECT_EQ(query("SELECT count(*), min(parent), max(parent) FROM child"), (Value::Array{Value(Value::Array{90, 1, 1})}));
}

TEST_F(SqliteTest, ManyWritersShareACommit) {
  execute("CREATE TABLE t(n)");
  at_once(16, [&](int) {
    for (int i = 0; i < 40; ++i) execute("INSERT INTO t VALUES (1)");
  });
  Value status;
  database.status([&](Value::Struct told) { status = std::move(told); });
  const Value& primary = status.find("nodes")->get_if<Value::Array>()->at(0);
  EXPECT_LT(*primary.find("commits")->get_if<std::int64_t>(), 16 * 40);
  EXPECT_EQ(query("SELECT count(*) FROM t"), (Value::Array{Value(Value::Array{640})}));
}

TEST_F(SqliteTest, OthersWaitForATransactionAndSeeItWhole) {
  execute("CREATE TABLE t(n)");
  Options tx;
  tx.tx = std::get<Result>(ask(&Sqlite::begin, {})).token;
  std::get<Result>(ask(&Sqlite::run, {{"INSERT INTO t VALUES (1)", {}}}, tx));
  auto neighbour = ask_later(&Sqlite::run, {{"UPDATE t SET n = n + 10", {}}});
  EXPECT_EQ(query("SELECT count(*) FROM t"), (Value::Array{Value(Value::Array{0})}));
  std::get<Result>(ask(&Sqlite::run, {{"UPDATE t SET n = n * 2", {}}}, tx));
  std::get<Result>(ask(&Sqlite::commit, {}, tx));
  EXPECT_EQ(std::get<Result>(neighbour.get()).rows.at(0).affected, 1);
  EXPECT_EQ(query("SELECT n FROM t"), (Value::Array{Value(Value::Array{12})}));
  EXPECT_EQ(std::get<Fault>(ask(&Sqlite::commit, {}, tx)).kind(), Fault::Kind::conflict);
}

TEST_F(SqliteTest, AWriteUnderALostLockIsRefusedAndLeavesNothing) {
  execute("CREATE TABLE t(n)");
  auto under = [&](std::string lock, std::int64_t token, std::vector<Statement> statements) {
    Options options;
    options.fence = Fence{std::move(lock), token};
    return ask(&Sqlite::run, std::move(statements), options);
  };
  std::get<Result>(under("a", 17, {{"INSERT INTO t VALUES (17)", {}}}));
  std::get<Result>(under("a", 17, {{"INSERT INTO t VALUES (17)", {}}}));
  std::get<Result>(under("a", 19, {{"INSERT INTO t VALUES (19)", {}}, {"INSERT INTO t VALUES (19)", {}}}));
  const Fault fault = std::get<Fault>(under("a", 17, {{"INSERT INTO t VALUES (0)", {}}, {"INSERT INTO t VALUES (0)", {}}}));
  EXPECT_EQ(fault.kind(), Fault::Kind::conflict);
  EXPECT_TRUE(fault.message().starts_with("stale fencing token: 17 was given, 19 was seen")) << fault.message();
  std::get<Result>(under("b", 1, {{"INSERT INTO t VALUES (1)", {}}}));
  // A write that fails raises nothing: its token was never seen.
  EXPECT_TRUE(std::holds_alternative<Fault>(under("a", 99, {{"INSERT INTO nowhere VALUES (1)", {}}})));
  std::get<Result>(under("a", 19, {{"INSERT INTO t VALUES (20)", {}}}));
  EXPECT_EQ(query("SELECT group_concat(n) FROM t"), (Value::Array{Value(Value::Array{"17,17,19,19,1,20"})}));

  Options tx;
  tx.tx = std::get<Result>(ask(&Sqlite::begin, {})).token;
  tx.fence = Fence{"a", 18};
  EXPECT_EQ(std::get<Fault>(ask(&Sqlite::run, {{"INSERT INTO t VALUES (0)", {}}}, tx)).kind(), Fault::Kind::conflict);
  tx.fence.reset();
  std::get<Result>(ask(&Sqlite::rollback, {}, tx));
}

TEST_F(SqliteTest, ACallerWhoIsGoneStopsHisStatement) {
  auto caller = std::make_shared<Caller>(loop);
  std::promise<Outcome> promise;
  Work work{Reply(caller)};
  work.statements.push_back({"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", {}});
  work.done = [&](Outcome outcome, Reply reply) {
    reply(Value());
    promise.set_value(std::move(outcome));
  };
  database.run(std::move(work));
  caller->cancel();
  EXPECT_EQ(std::get<Fault>(promise.get_future().get()).kind(), Fault::Kind::cancelled);
}

TEST_F(SqliteTest, AFullDiskFailsTheWriteAndHarmsNothing) {
  execute("CREATE TABLE t(x)");
  execute("INSERT INTO t VALUES ('before')");
  rlimit old{}, small{};
  getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  small = old;
  small.rlim_cur = 2 << 20;  // the log may not grow beyond it: to SQLite that is a disk without room
  setrlimit(RLIMIT_FSIZE, &small);
  const Fault fault = refused("INSERT INTO t VALUES (zeroblob(8000000))");
  setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_EQ(fault.kind(), Fault::Kind::sql_error);
  EXPECT_EQ(query("SELECT x FROM t"), (Value::Array{Value(Value::Array{"before"})}));
  execute("INSERT INTO t VALUES ('after')");
  EXPECT_EQ(query("SELECT count(*) FROM t"), (Value::Array{Value(Value::Array{2})}));
}

TEST_F(SqliteTest, ValuesComeBackAsTheyWent) {
  const Value::Array values{Value(), std::numeric_limits<std::int64_t>::min(), 0.1, "é😀", Bytes{std::string("\0\xFF", 2)}, Bytes{}};
  EXPECT_EQ(query("SELECT ?, ?, ?, ?, ?, ?", values).at(0), Value(values));
  EXPECT_EQ(query("SELECT ?", Value::Array{DateTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + std::chrono::milliseconds(1500))}).at(0),
            Value(Value::Array{"2026-11-23 00:00:01.500000"}));
  EXPECT_THROW(query("SELECT ?", Value::Array{std::numeric_limits<std::uint64_t>::max()}), Fault);
  EXPECT_THROW(query("SELECT ?", Value::Array{Value(Value::Array{})}), Fault);
}

}  // namespace
}  // namespace sluice::sql::sqlite
