// MariaLink on a real server: the one that SLUICE_MARIADB_PORT names, with the process SLUICE_MARIADB_PID. tests/integration/test_mariadb.py
// starts it and runs this.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "handlers/sql/mariadb/engine.h"

namespace sluice::sql::mariadb {
namespace {

using cluster::Failure;
using cluster::Link;
using cluster::Trip;
using std::chrono::milliseconds;

Statement statement(std::string text, Value params = {}) { return {std::move(text), std::move(params)}; }

class MariaLinkTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(std::getenv("SLUICE_MARIADB_PORT"));
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    ::kill(server(), SIGCONT);
    on_loop([this] { links_.clear(); });
    loop_.stop();
    thread_.join();
    loop_.discard();
  }

  // Links live on the loop's thread, and what is done to them is done there.
  template <class F>
  std::invoke_result_t<F> on_loop(F what) {
    std::promise<decltype(what())> done;
    loop_.post([&] {
      if constexpr (std::is_void_v<decltype(what())>) {
        what();
        done.set_value();
      } else {
        done.set_value(what());
      }
    });
    return done.get_future().get();
  }

  static pid_t server() { return std::atoi(std::getenv("SLUICE_MARIADB_PID")); }
  static cluster::Address address() {
    const std::string port = std::getenv("SLUICE_MARIADB_PORT");
    return {"127.0.0.1:" + port, "127.0.0.1", "127.0.0.1", port};
  }

  // False when it never is.
  template <class F>
  bool wait(F ready, milliseconds most = milliseconds(10'000)) {
    const auto deadline = Clock::now() + most;
    while (!on_loop([&] { return ready(); })) {
      if (Clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  struct Dialled {
    std::unique_ptr<Link> link;
    std::optional<std::optional<Failure>> opened;
    bool lost = false;
  };
  Dialled& dial_to(MariaDb& engine, const cluster::Address& address, Link::Use use) {
    auto dialled = std::make_unique<Dialled>();
    Dialled& ref = *dialled;
    links_.push_back(std::move(dialled));
    on_loop([&] { ref.link = engine.dial(address, use, loop_, {[&ref](std::optional<Failure> failure) { ref.opened = std::move(failure); }, [&ref] { ref.lost = true; }}); });
    return ref;
  }
  Dialled& dial(Link::Use use = Link::Use::write) {
    Dialled& dialled = dial_to(engine_, address(), use);
    EXPECT_TRUE(wait([&] { return dialled.opened.has_value(); }));
    EXPECT_FALSE(dialled.opened && *dialled.opened) << (*dialled.opened)->fault.message();
    return dialled;
  }

  // What a trip came to, once it is there.
  std::shared_ptr<std::optional<Trip::Arrived>> send(Link& link, std::vector<Statement> statements, Trip::Kind kind = Trip::Kind::write, bool position = false) {
    auto arrived = std::make_shared<std::optional<Trip::Arrived>>();
    Trip trip;
    trip.kind = kind;
    trip.statements = std::move(statements);
    trip.position = position;
    trip.done = [arrived](Trip::Arrived what) { *arrived = std::move(what); };
    on_loop([&] {
      link.send(std::move(trip));
      EXPECT_FALSE(arrived->has_value()) << "told from within send()";
    });
    return arrived;
  }
  Trip::Arrived run(Link& link, std::vector<Statement> statements, Trip::Kind kind = Trip::Kind::write, bool position = false) {
    auto arrived = send(link, std::move(statements), kind, position);
    if (!wait([&] { return arrived->has_value(); })) return Failure{Failure::Kind::lost, Fault(Fault::Kind::internal, "nothing arrived"), false};
    return std::move(**arrived);
  }
  Trip::Answer answer(Link& link, std::vector<Statement> statements, Trip::Kind kind = Trip::Kind::write, bool position = false) {
    auto arrived = run(link, std::move(statements), kind, position);
    if (auto* failure = std::get_if<Failure>(&arrived)) {
      ADD_FAILURE() << failure->fault.message();
      return Trip::Answer{std::vector<Rows>(8), {}};
    }
    return std::move(std::get<Trip::Answer>(arrived));
  }
  Failure failure(Link& link, std::vector<Statement> statements, Trip::Kind kind = Trip::Kind::write) {
    auto arrived = run(link, std::move(statements), kind);
    if (auto* failed = std::get_if<Failure>(&arrived)) return std::move(*failed);
    ADD_FAILURE() << "it succeeded";
    return {};
  }
  Value one(Link& link, std::string text, Value params = {}) {
    auto rows = answer(link, {statement(std::move(text), std::move(params))}, Trip::Kind::read).rows[0].rows;
    if (rows.size() != 1) return Value("no row");
    return (*rows[0].get_if<Value::Array>())[0];
  }

  Loop loop_;
  std::thread thread_;
  MariaDb engine_{{"app", "", "app", false, "", ""}, {1000, 1 << 20}};
  std::vector<std::unique_ptr<Dialled>> links_;
};

TEST_F(MariaLinkTest, CarriesEveryCommonTypeBothWays) {
  Link& link = *dial().link;
  struct Case {
    const char* type;
    Value in, out;
  };
  const DateTime when(std::chrono::sys_days{std::chrono::year{2026} / 2 / 28} + std::chrono::hours(23) + std::chrono::microseconds(123'456));
  const std::string octets("\0\x01\xff'\\", 5);
  const Case cases[] = {
      {"BOOLEAN", true, 1},
      {"TINYINT", -128, -128},
      {"TINYINT UNSIGNED", 255, 255},
      {"SMALLINT", -32768, -32768},
      {"MEDIUMINT UNSIGNED", 16'777'215, 16'777'215},
      {"INT", -2147483648LL, -2147483648LL},
      {"BIGINT", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::min()},
      {"BIGINT UNSIGNED", std::numeric_limits<std::uint64_t>::max(), "18446744073709551615"},
      {"BIGINT UNSIGNED", 5, 5},
      {"FLOAT", 0.1, 0.1},
      {"DOUBLE", 0.1, 0.1},
      {"DOUBLE", -1.7976931348623157e308, -1.7976931348623157e308},
      {"DECIMAL(65,30)", "12345678901234567890123456789012345.123456789012345678901234567890", "12345678901234567890123456789012345.123456789012345678901234567890"},
      {"DECIMAL(5,2)", 1, "1.00"},
      {"YEAR", 2026, 2026},
      {"DATE", "2026-02-28", "2026-02-28"},
      {"DATE", when, "2026-02-28"},
      {"TIME", "-838:59:59", "-838:59:59"},
      {"TIME(3)", "12:34:56.789", "12:34:56.789"},
      {"DATETIME(6)", when, when},
      {"DATETIME", "9999-12-31 23:59:59", DateTime(std::chrono::sys_days{std::chrono::year{9999} / 12 / 31} + std::chrono::seconds(86'399))},
      {"TIMESTAMP(6) NULL", when, when},
      {"CHAR(10)", "Ærø", "Ærø"},
      {"VARCHAR(100)", "🦭 'quoted' \\ ? \"", "🦭 'quoted' \\ ? \""},
      {"LONGTEXT", std::string(100'000, 'x'), std::string(100'000, 'x')},
      {"BINARY(5)", Bytes{octets}, Bytes{octets}},
      {"VARBINARY(100)", Bytes{octets}, Bytes{octets}},
      {"LONGBLOB", Bytes{std::string(100'000, '\0')}, Bytes{std::string(100'000, '\0')}},
      {"BLOB", "", Bytes{""}},
      {"TEXT", "", ""},
      {"JSON", Value::Struct{{"a", Value::Array{1, Value(), "é"}}}, "{\"a\":[1,null,\"é\"]}"},
      {"BIT(1)", 1, 1},
      {"BIT(64)", std::numeric_limits<std::uint64_t>::max(), "18446744073709551615"},
      {"ENUM('a','b')", "b", "b"},
      {"SET('a','b','c')", "a,c", "a,c"},
      {"UUID", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
      {"INET6", "::1", "::1"},
      {"INT", Value(), Value()},
      {"LONGTEXT", Value(), Value()},
      {"DATETIME", Value(), Value()},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.type) + " " + describe(one.in));
    answer(link, {statement(std::string("CREATE OR REPLACE TABLE kinds (v ") + one.type + ")")});
    answer(link, {statement("INSERT INTO kinds VALUES (?)", Value::Array{one.in})});
    const Value out = this->one(link, "SELECT v FROM kinds");
    EXPECT_EQ(out, one.out) << describe(out);
  }
}

TEST_F(MariaLinkTest, GivesGeometriesAsOctetsAndZeroDatesAsText) {
  Link& link = *dial().link;
  EXPECT_TRUE(one(link, "SELECT POINT(1, 2)").get_if<Bytes>());
  EXPECT_EQ(one(link, "SELECT CAST('0000-00-00 00:00:00' AS DATETIME)"), Value("0000-00-00 00:00:00"));
  EXPECT_EQ(one(link, "SELECT CAST('0000-00-00' AS DATE)"), Value("0000-00-00"));
}

TEST_F(MariaLinkTest, TellsTheGtidOfAWriteWithItsAnswer) {
  Link& link = *dial().link;
  answer(link, {statement("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, x TEXT)")});
  const auto first = answer(link, {statement("INSERT INTO t (x) VALUES ($1)", Value::Array{"a"})}, Trip::Kind::write, true);
  EXPECT_EQ(first.rows[0].affected, 1);
  EXPECT_EQ(first.rows[0].last_insert_id, 1);
  ASSERT_EQ(first.at.marks.size(), 1u);
  const auto second = answer(link, {statement("INSERT INTO t (x) VALUES ('b')"), statement("SELECT COUNT(*) FROM t")}, Trip::Kind::write, true);
  EXPECT_EQ(second.rows[1].rows[0], Value(Value::Array{2}));
  EXPECT_EQ(second.at.marks[0].seq, first.at.marks[0].seq + 1);
  const auto returning = answer(link, {statement("INSERT INTO t (x) VALUES ('c') RETURNING id, x")}, Trip::Kind::write, true);
  EXPECT_EQ(returning.rows[0].rows[0], Value(Value::Array{3, "c"}));
  EXPECT_EQ(returning.rows[0].affected, 1);
  EXPECT_EQ(returning.at.marks[0].seq, second.at.marks[0].seq + 1);
  const auto nothing = answer(link, {statement("UPDATE t SET x = 'z' WHERE id = 99")}, Trip::Kind::write, true);
  EXPECT_EQ(nothing.at, returning.at);
  const auto read = answer(link, {statement("SELECT 1")}, Trip::Kind::read, true);
  EXPECT_EQ(read.at, returning.at);
}

TEST_F(MariaLinkTest, RollsBackAllOfABatchThatFails) {
  Link& link = *dial().link;
  answer(link, {statement("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)")});
  const Failure failed = failure(link, {statement("INSERT INTO t VALUES (1)"), statement("INSERT INTO t VALUES (1)"), statement("INSERT INTO t VALUES (2)")});
  EXPECT_EQ(failed.kind, Failure::Kind::statement);
  EXPECT_NE(failed.fault.message().find("(error 1062, SQLSTATE 23000)"), std::string::npos) << failed.fault.message();
  EXPECT_EQ(one(link, "SELECT COUNT(*) FROM t"), Value(0));
  failure(link, {statement("INSERT INTO t VALUES (1)"), statement("INSERT INTO t VALUES (?)", Value::Array{1, 2})});
  EXPECT_EQ(one(link, "SELECT COUNT(*) FROM t"), Value(0));
}

TEST_F(MariaLinkTest, RefusesToWriteOnAConnectionForReads) {
  Link& link = *dial().link;
  answer(link, {statement("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)")});
  Link& reads = *dial(Link::Use::read).link;
  for (const char* text : {"INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE t2 (a INT)", "DELETE FROM t"}) EXPECT_EQ(failure(reads, {statement(text)}, Trip::Kind::read).kind, Failure::Kind::refused) << text;
  EXPECT_EQ(one(reads, "SELECT COUNT(*) FROM t"), Value(0));
}

TEST_F(MariaLinkTest, RunsOneStatementForAText) {
  Link& link = *dial().link;
  EXPECT_EQ(failure(link, {statement("SELECT 1; SELECT 2")}).kind, Failure::Kind::statement);
}

TEST_F(MariaLinkTest, HoldsATransactionFromTripToTrip) {
  Link& link = *dial(Link::Use::lease).link;
  Link& other = *dial().link;
  answer(other, {statement("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)")});
  answer(link, {statement("START TRANSACTION"), statement("INSERT INTO t VALUES (1)")}, Trip::Kind::held);
  EXPECT_EQ(one(other, "SELECT COUNT(*) FROM t"), Value(0));
  EXPECT_FALSE(answer(link, {statement("COMMIT")}, Trip::Kind::held, true).at.empty());
  EXPECT_EQ(one(other, "SELECT COUNT(*) FROM t"), Value(1));
}

TEST_F(MariaLinkTest, LeavesNoTransactionOpenForTheNext) {
  Link& link = *dial().link;
  answer(link, {statement("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)")});
  answer(link, {statement("CREATE OR REPLACE PROCEDURE leaves_open() BEGIN START TRANSACTION; INSERT INTO t VALUES (1); END")});
  EXPECT_NE(failure(link, {statement("CALL leaves_open()")}).fault.message().find("left a transaction open"), std::string::npos);
  EXPECT_EQ(one(link, "SELECT COUNT(*) FROM t"), Value(0));
}

TEST_F(MariaLinkTest, AnswersTheFirstResultOfAProcedure) {
  Link& link = *dial().link;
  answer(link, {statement("CREATE OR REPLACE PROCEDURE several() BEGIN SELECT 1 AS a UNION SELECT 2; SELECT 'x', 'y', 'z'; END")});
  for (int round = 0; round < 3; ++round) {
    const Rows rows = answer(link, {statement("CALL several()")}).rows[0];
    EXPECT_EQ(rows.columns, std::vector<std::string>{"a"});
    EXPECT_EQ(Value(rows.rows), Value(Value::Array{Value::Array{1}, Value::Array{2}}));
  }
}

TEST_F(MariaLinkTest, StopsAtItsLimitsAndGoesOn) {
  Link& link = *dial().link;
  EXPECT_EQ(failure(link, {statement("SELECT seq FROM seq_1_to_1500")}).fault.kind(), Fault::Kind::too_large);
  EXPECT_EQ(failure(link, {statement("SELECT REPEAT('x', 500000) FROM seq_1_to_4")}).fault.kind(), Fault::Kind::too_large);
  EXPECT_EQ(one(link, "SELECT 5"), Value(5));
  // An answer that does not end is not read to its end.
  Dialled& endless = dial();
  EXPECT_EQ(failure(*endless.link, {statement("SELECT a.seq FROM seq_1_to_100000 a, seq_1_to_100000 b")}).fault.kind(), Fault::Kind::too_large);
  EXPECT_TRUE(wait([&] { return endless.lost; }));
}

TEST_F(MariaLinkTest, GoesOnAfterAnErrorInTheMiddleOfItsRows) {
  Link& link = *dial().link;
  for (int round = 0; round < 3; ++round) {
    const Failure failed = failure(link, {statement("SELECT seq, IF(seq = 900, (SELECT seq FROM seq_1_to_2), 0) FROM seq_1_to_950")}, Trip::Kind::read);
    EXPECT_EQ(failed.kind, Failure::Kind::statement);
    EXPECT_EQ(one(link, "SELECT ?", Value::Array{round}), Value(round));
  }
}

TEST_F(MariaLinkTest, KeepsABoundedNumberOfStatementsPrepared) {
  Link& link = *dial().link;
  for (int round = 0; round < 2; ++round)
    for (int i = 0; i < 150; ++i) ASSERT_EQ(one(link, "SELECT ? + " + std::to_string(i), Value::Array{1}), Value(i + 1));
  const auto rows = answer(link, {statement("SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Com_stmt_close'")}).rows[0];
  EXPECT_EQ(rows.rows[0], Value(Value::Array{std::to_string(300 - 63)}));
}

TEST_F(MariaLinkTest, FollowsATableThatChangesUnderAPreparedStatement) {
  Link& link = *dial().link;
  answer(link, {statement("CREATE OR REPLACE TABLE t (a INT)")});
  answer(link, {statement("INSERT INTO t VALUES (1)")});
  auto rows = [&] { return Value(answer(link, {statement("SELECT * FROM t")}, Trip::Kind::read).rows[0].rows); };
  EXPECT_EQ(rows(), Value(Value::Array{Value(Value::Array{1})}));
  answer(link, {statement("ALTER TABLE t ADD b TEXT DEFAULT 'b', MODIFY a TEXT")});
  EXPECT_EQ(rows(), Value(Value::Array{Value(Value::Array{"1", "b"})}));
  answer(link, {statement("ALTER TABLE t DROP a")});
  EXPECT_EQ(rows(), Value(Value::Array{Value(Value::Array{"b"})}));
}

TEST_F(MariaLinkTest, ReadsACursorInPartsAndGivesTheConnectionBackClean) {
  Link& link = *dial(Link::Use::lease).link;
  for (int round = 0; round < 2; ++round) {
    std::optional<std::variant<std::vector<std::string>, Failure>> opened;
    on_loop([&] { link.open_cursor(statement("SELECT seq, REPEAT('x', ?) FROM seq_1_to_5000", Value::Array{10}), [&](auto what) { opened = std::move(what); }); });
    ASSERT_TRUE(wait([&] { return opened.has_value(); }));
    ASSERT_TRUE(std::holds_alternative<std::vector<std::string>>(*opened)) << std::get<Failure>(*opened).fault.message();
    EXPECT_EQ(std::get<std::vector<std::string>>(*opened).size(), 2u);
    std::size_t rows = 0;
    for (bool end = false; !end && (round == 0 || rows < 1000);) {
      std::optional<std::variant<Link::Chunk, Failure>> fetched;
      on_loop([&] { link.fetch(700, [&](auto what) { fetched = std::move(what); }); });
      ASSERT_TRUE(wait([&] { return fetched.has_value(); }));
      const auto& chunk = std::get<Link::Chunk>(*fetched);
      EXPECT_LE(chunk.rows.size(), 700u);
      rows += chunk.rows.size();
      end = chunk.end;
    }
    if (round == 0) {
      EXPECT_EQ(rows, 5000u);
    }
    std::optional<bool> clean;
    on_loop([&] { link.close_cursor([&](bool what) { clean = what; }); });
    ASSERT_TRUE(wait([&] { return clean.has_value(); }));
    EXPECT_TRUE(*clean);
    answer(link, {statement("CREATE OR REPLACE TABLE t (a INT)")}, Trip::Kind::held);  // writes again
  }
}

TEST_F(MariaLinkTest, RefusesACursorThatWrites) {
  answer(*dial().link, {statement("CREATE OR REPLACE TABLE t (a INT)")});
  for (const char* text : {"INSERT INTO t VALUES (1) RETURNING a", "DROP TABLE t"}) {
    Link& link = *dial(Link::Use::lease).link;
    std::optional<std::variant<std::vector<std::string>, Failure>> opened;
    on_loop([&] { link.open_cursor(statement(text), [&](auto what) { opened = std::move(what); }); });
    ASSERT_TRUE(wait([&] { return opened.has_value(); }));
    ASSERT_TRUE(std::holds_alternative<Failure>(*opened));
    EXPECT_EQ(std::get<Failure>(*opened).kind, Failure::Kind::refused);
  }
}

TEST_F(MariaLinkTest, TellsWhyItCannotConnect) {
  MariaDb stranger({"nobody", "wrong", "app", false, "", ""}, {});
  Dialled& refused = dial_to(stranger, address(), Link::Use::write);
  ASSERT_TRUE(wait([&] { return refused.opened.has_value(); }));
  EXPECT_NE((*refused.opened)->fault.message().find("Access denied for user 'nobody'"), std::string::npos) << (*refused.opened)->fault.message();
  cluster::Address closed = address();
  closed.port = "1";
  Dialled& nobody = dial_to(engine_, closed, Link::Use::write);
  ASSERT_TRUE(wait([&] { return nobody.opened.has_value(); }));
  EXPECT_EQ((*nobody.opened)->kind, Failure::Kind::starting);
}

TEST_F(MariaLinkTest, NoticesAConnectionThatIsKilled) {
  Dialled& idle = dial();
  Dialled& busy = dial();
  Link& killer = *dial().link;
  const std::int64_t idle_id = *one(*idle.link, "SELECT CONNECTION_ID()").get_if<std::int64_t>(), busy_id = *one(*busy.link, "SELECT CONNECTION_ID()").get_if<std::int64_t>();
  auto arrived = send(*busy.link, {statement("SELECT SLEEP(30)")});
  answer(killer, {statement("KILL " + std::to_string(idle_id)), statement("KILL " + std::to_string(busy_id))}, Trip::Kind::held);
  EXPECT_TRUE(wait([&] { return idle.lost && busy.lost && arrived->has_value(); }));
  const auto& failure = std::get<Failure>(**arrived);
  EXPECT_EQ(failure.kind, Failure::Kind::lost);
  EXPECT_TRUE(failure.may_have_run);
  EXPECT_EQ(idle.link->room(), 0u);
}

TEST_F(MariaLinkTest, IsCutFromAServerThatHangs) {
  Dialled& busy = dial();
  Dialled& leased = dial(Link::Use::lease);
  answer(*leased.link, {statement("START TRANSACTION")}, Trip::Kind::held);
  ::kill(server(), SIGSTOP);
  auto arrived = send(*busy.link, {statement("INSERT INTO nowhere VALUES (1)")});
  auto held = send(*leased.link, {statement("SELECT 1")}, Trip::Kind::held);
  Dialled& connecting = dial_to(engine_, address(), Link::Use::write);
  EXPECT_FALSE(wait([&] { return arrived->has_value() || connecting.opened.has_value(); }, milliseconds(100)));
  on_loop([&] {
    busy.link->cut("it hangs");
    connecting.link->cut("it hangs");
  });
  EXPECT_TRUE(arrived->has_value());
  EXPECT_EQ(std::get<Failure>(**arrived).fault.message(), "it hangs");
  EXPECT_TRUE(busy.lost);
  ASSERT_TRUE(connecting.opened.has_value());
  EXPECT_TRUE(connecting.opened->has_value());
  on_loop([&] { leased.link.reset(); });  // without a word
  EXPECT_FALSE(held->has_value());
}

TEST_F(MariaLinkTest, MayBeDestroyedInAnyState) {
  for (int turns = 0; turns < 12; ++turns) {
    Dialled& dialled = dial_to(engine_, address(), Link::Use::write);
    int left = turns;
    wait([&] { return left-- == 0; });
    if (dialled.opened) {
      send(*dialled.link, {statement("SELECT seq FROM seq_1_to_900"), statement("SELECT SLEEP(0.01)")});
      left = turns;
      wait([&] { return left-- == 0; });
    }
    on_loop([&] { dialled.link.reset(); });
  }
}

TEST_F(MariaLinkTest, MayBeDestroyedByWhatItTells) {
  Dialled& dialled = dial();
  bool told = false;
  Trip trip;
  trip.statements.push_back(statement("SELECT 1"));
  trip.done = [&](Trip::Arrived) {
    dialled.link.reset();
    told = true;
  };
  on_loop([&] { dialled.link->send(std::move(trip)); });
  EXPECT_TRUE(wait([&] { return told; }));
}

TEST_F(MariaLinkTest, LooksAtANode) {
  Link& link = *dial(Link::Use::probe).link;
  for (int round = 0; round < 2; ++round) {
    std::optional<std::variant<cluster::Report, Failure>> found;
    on_loop([&] { engine_.probe(link, [&](auto what) { found = std::move(what); }); });
    ASSERT_TRUE(wait([&] { return found.has_value(); }));
    ASSERT_TRUE(std::holds_alternative<cluster::Report>(*found)) << std::get<Failure>(*found).fault.message();
    const auto& report = std::get<cluster::Report>(*found);
    EXPECT_TRUE(report.primary);
    EXPECT_NE(report.origin, 0u);
    EXPECT_FALSE(report.at.empty());
    EXPECT_EQ(engine_.judge(report, report.at), cluster::Judgement::kept);
    EXPECT_EQ(engine_.judge(report, {"", {{0, 4'000'000'000u, 1}}}), cluster::Judgement::lost);
    EXPECT_TRUE(report.version.starts_with("1"));
  }
}

}  // namespace
}  // namespace sluice::sql::mariadb
