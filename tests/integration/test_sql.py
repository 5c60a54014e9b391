"""sql.* on SQLite through Python's xmlrpc.client: where statements run, what they answer, and who is harmed by whom."""

import os
import tempfile
import threading
import time
import unittest
import xmlrpc.client

from cases import FaultCase
from gateway import Gateway, wait_for

STATEMENTS = """\
-- name: city.add
-- write
-- param: name text
-- param: country text
-- doc: Adds a city.
INSERT INTO city(name, country) VALUES (?, ?);

-- name: city.by_country
-- read
-- param: country text
-- doc: The cities of a country, by name.
SELECT name FROM city WHERE country = :country ORDER BY name
"""


def setUpModule():
    global gateway, folder
    folder = tempfile.TemporaryDirectory(prefix="sluice-test-")
    with open(os.path.join(folder.name, "city.sql"), "w") as f:
        f.write(STATEMENTS)
    gateway = Gateway(config=f'[sql]\nstatements = "{folder.name}"\n')
    with proxy() as g:
        g.sql.execute("CREATE TABLE city(name TEXT PRIMARY KEY, country TEXT NOT NULL)")
        g.sql.execute("CREATE TABLE counter(id INTEGER PRIMARY KEY, n INTEGER CHECK (n >= 0))")


def tearDownModule():
    assert gateway.stop() == 0
    folder.cleanup()


def proxy():
    return xmlrpc.client.ServerProxy(gateway.url, allow_none=True, use_builtin_types=True)


class SqlCase(FaultCase):
    def setUp(self):
        self.g = proxy()
        self.sql = self.g.sql
        self.sql.batch([["DELETE FROM city"], ["DELETE FROM counter"]])

    def tearDown(self):
        self.sql.split(True)
        self.g("close")()


class Statements(SqlCase):
    def test_a_write_and_a_read_of_it(self):
        w = self.sql.execute("INSERT INTO city VALUES (?, ?)", ["Oslo", "NO"])
        self.assertEqual((w["affected"], w["route"]["role"], w["route"]["class"]), (1, "primary", "write"))
        r = self.sql.query("SELECT name, country FROM city WHERE country = ?", ["NO"], {"after": w["token"]})
        self.assertEqual((r["columns"], r["rows"]), (["name", "country"], [["Oslo", "NO"]]))
        self.assertEqual((r["route"]["role"], r["route"]["class"], r["route"]["lag_ms"]), ("replica", "read", 0.0))

    def test_a_key_makes_a_write_happen_once(self):
        insert = ["INSERT INTO city VALUES (?, ?) RETURNING name", ["Oslo", "NO"], {"key": "city 1"}]
        first, again = self.sql.execute(*insert), self.sql.execute(*insert)
        self.assertEqual((first["rows"], first["affected"]), (again["rows"], again["affected"]))
        self.assertIn("used before", again["route"]["why"])
        self.fault("another statement or other parameters", self.sql.execute, insert[0], ["Bergen", "NO"], {"key": "city 1"})
        self.fault("UNIQUE", self.sql.execute, insert[0], insert[1], {"key": "city 2"})
        self.sql.execute("DELETE FROM city")
        self.sql.execute(*insert[:2], {"key": "city 2"})  # one that failed left nothing behind
        self.fault("not both", self.sql.execute, insert[0], [], {"key": "city 3", "tx": "x"})

    def test_values_both_ways(self):
        values = [None, 2**31 - 1, -1.5, "é😀", b"\x00\xff", True]
        r = self.sql.query("SELECT ?, ?, ?, ?, ?, ?", values)
        self.assertEqual(r["rows"], [[None, 2**31 - 1, -1.5, "é😀", b"\x00\xff", 1]])
        self.assertEqual(self.sql.query("SELECT $2, $1", [1, 2])["rows"], [[2, 1]])
        self.assertEqual(self.sql.query("SELECT :b, :a", {"a": 1, "b": 2})["rows"], [[2, 1]])
        self.assertEqual(self.sql.query("SELECT CAST(x'ff' AS TEXT)")["rows"], [[b"\xff"]])

    def test_parameters_are_bound_never_pasted(self):
        nasty = "'); DROP TABLE city; --"
        self.sql.execute("INSERT INTO city VALUES (?, ?)", [nasty, "X"])
        self.assertEqual(self.sql.query("SELECT name FROM city")["rows"], [[nasty]])

    def test_wrong_parameters(self):
        self.assertEqual(self.fault("takes 1 parameter, 0 were passed", self.sql.query, "SELECT ?"), -32602)
        self.assertEqual(self.fault("takes 1 parameter, 2 were passed", self.sql.query, "SELECT ?", [1, 2]), -32602)
        self.assertEqual(self.fault(":a is not in the struct", self.sql.query, "SELECT :a", {"b": 1}), -32602)
        self.assertEqual(self.fault("names its parameters", self.sql.query, "SELECT :a", [1]), -32602)
        self.assertEqual(self.fault("did you mean 'timeout_ms'?", self.sql.query, "SELECT 1", [], {"timeout_m": 1}), -32602)
        self.assertEqual(self.fault("token of a write", self.sql.query, "SELECT 1", [], {"after": "nonsense"}), -32602)

    def test_a_token_is_signed_and_outlives_the_gateway(self):
        token = self.sql.execute("DELETE FROM city")["token"]
        for forged in (token[:-1] + "0123456789abcdef"[int(token[-1], 16) ^ 1], token.replace(".0-0-", ".0-0-9")):
            self.assertEqual(self.fault("signed by a gateway of this database", self.sql.query, "SELECT 1", [], {"after": forged}), -32602)
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "kept.db")
            with Gateway(data=data) as gateway, xmlrpc.client.ServerProxy(gateway.url) as g:
                self.assertEqual(self.fault("signed by a gateway of this database", g.sql.query, "SELECT 1", [], {"after": token}), -32602)
                token = g.sql.execute("CREATE TABLE t(x)")["token"]
            with Gateway(data=data) as gateway, xmlrpc.client.ServerProxy(gateway.url) as g:
                self.assertEqual(g.sql.query("SELECT count(*) FROM t", [], {"after": token})["rows"], [[0]])
            self.assertEqual(os.stat(data + "-secret").st_mode & 0o777, 0o600)

    def test_errors_of_the_database_show_the_place(self):
        self.assertEqual(self.fault("no such column: nmae (SQLITE_ERROR)\n  SELECT nmae FROM city\n         ^", self.sql.query, "SELECT nmae FROM city"), -32020)
        self.sql.execute("INSERT INTO city VALUES ('Oslo', 'NO')")
        self.assertEqual(self.fault("SQLITE_CONSTRAINT_PRIMARYKEY", self.sql.execute, "INSERT INTO city VALUES ('Oslo', 'NO')"), -32020)
        self.assertEqual(self.fault("several statements", self.sql.query, "SELECT 1; DELETE FROM city"), -32602)
        self.assertEqual(self.fault("empty", self.sql.query, " -- nothing"), -32602)

    def test_what_would_change_a_shared_connection_is_refused_with_advice(self):
        for statement, advice in [("BEGIN", "sql.begin"), ("COMMIT", "sql.begin"), ("SAVEPOINT x", "sql.begin"), ("PRAGMA synchronous=OFF", "not run here"),
                                  ("PRAGMA query_only=0", "not run here"), ("ATTACH 'x' AS y", "not run here"), ("VACUUM", "while the gateway is stopped"),
                                  ("VACUUM INTO '/tmp/copy'", "a file of its caller's choice"), ("CREATE TEMP TABLE t(a)", "WITH")]:
            for call in (self.sql.query, self.sql.execute):
                self.assertEqual(self.fault(advice, call, statement), -32602, statement)

    def test_a_query_that_writes_goes_to_the_primary(self):
        r = self.sql.query("INSERT INTO city VALUES ('Oslo', 'NO') RETURNING name")
        self.assertEqual((r["rows"], r["route"]["role"]), ([["Oslo"]], "primary"))
        self.assertIn("token", r)

    def test_returning_and_reads_through_execute(self):
        w = self.sql.execute("INSERT INTO city VALUES ('Oslo', 'NO') RETURNING name")
        self.assertEqual((w["columns"], w["rows"]), (["name"], [["Oslo"]]))
        self.assertEqual(self.sql.execute("SELECT 7 AS n")["rows"], [[7]])

    def test_the_switch(self):
        self.assertEqual(self.sql.split(False), {"split": 0, "shadow": False})
        self.assertEqual(self.sql.query("SELECT 1")["route"]["role"], "primary")
        self.assertEqual(self.sql.split(50), {"split": 50, "shadow": False})
        roles = [self.sql.query("SELECT 1")["route"]["role"] for _ in range(200)]
        self.assertEqual(roles.count("replica"), 100)
        self.assertEqual(self.sql.split(True), {"split": 100, "shadow": False})
        self.assertEqual(self.sql.query("SELECT 1", [], {"level": "primary"})["route"]["role"], "primary")
        self.assertEqual(self.fault("from 0 to 100", self.sql.split, 101), -32602)

    def test_explain_runs_nothing(self):
        for statement, expected in [("SELECT 1", "read"), ("DELETE FROM city", "write"), ("BEGIN", "session"), ("SELECT last_insert_rowid()", "primary"),
                                    ("EXPLAIN DELETE FROM city", "read"), ("PRAGMA table_info(city)", "read"), ("PRAGMA journal_mode=DELETE", "session"),
                                    ("WITH x AS (SELECT 1) SELECT * FROM x", "read"), ("CREATE TABLE IF NOT EXISTS city(a)", "write")]:
            self.assertEqual(self.sql.explain(statement)["class"], expected, statement)
        self.assertEqual(self.sql.explain("SELECT 1", {"dialect": "sqlite"})["role"], "replica")

    def test_status(self):
        status = self.sql.status()
        self.assertEqual([n["role"] for n in status["nodes"]], ["primary", "replica"])

    def test_answers_are_capped_and_say_what_to_do(self):
        self.assertEqual(self.fault("sql.stream", self.sql.query, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"), -32016)

    def test_a_statement_that_takes_too_long_is_stopped(self):
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        started = time.monotonic()
        self.assertEqual(self.fault("its time was up", self.sql.query, endless, [], {"timeout_ms": 200}), -32011)
        self.assertLess(time.monotonic() - started, 3)

    def test_named_statements(self):
        self.assertEqual(self.g.system.methodSignature("city.add")[0], ["struct", "string", "string"])
        self.assertEqual(self.g.system.methodHelp("city.by_country"), "The cities of a country, by name.")
        w = self.g.city.add("Oslo", "NO")
        self.assertEqual(self.g.city.by_country("NO", {"after": w["token"]})["rows"], [["Oslo"]])
        self.assertEqual(self.fault("argument 'country' must be string, not int 7", self.g.city.by_country, 7), -32602)


class Others(SqlCase):
    """What belongs to others, or to nobody."""

    def test_a_pragma_that_acts_does_so_in_any_letters(self):
        for text in ("SELECT * FROM PRAGMA_OPTIMIZE", "SELECT 1 WHERE 1 IN Pragma_optimize", "SELECT * FROM PRAGMA_optimize(2)"):
            self.assertEqual(self.sql.explain(text, {"dialect": "sqlite"})["class"], "session", text)

    def test_nobody_sees_what_others_ran(self):
        self.sql.query("SELECT 'of another caller'")
        self.fault("sqlite_stmt", self.sql.query, "SELECT sql FROM sqlite_stmt")

    def test_a_value_that_grows_out_of_a_short_statement_has_its_limit(self):
        self.assertEqual(self.sql.query("SELECT length(randomblob(1000000))")["rows"], [[1_000_000]])
        self.fault("too big", self.sql.query, "SELECT length(replace(printf('%.*c', 50000000, 'x'), 'x', 'xxxxxxxxxx'))")


class Fences(SqlCase):
    def test_a_write_with_a_lower_token_is_refused(self):
        def fence(token):
            return {"fence": {"lock": "stock", "token": token}}

        add = "INSERT INTO counter VALUES (?, 0)"
        self.sql.execute(add, [1], fence("281474976710657"))
        self.sql.batch([[add, [2]]], fence("281474976710659"))
        self.assertEqual(self.fault("stale fencing token: 281474976710658 was given, 281474976710659 was seen", self.sql.execute, add, [3], fence("281474976710658")), -32005)
        self.assertEqual(self.fault("stale", self.sql.batch, [[add, [3]]], fence(5)), -32005)
        self.assertEqual(self.fault("stale", self.g.city.add, "Oslo", "NO", fence(5)), -32005)
        self.assertEqual(self.sql.query("SELECT id FROM counter ORDER BY id")["rows"], [[1], [2]])

    def test_what_is_no_fence(self):
        for fence, words in [({"lock": "a"}, "token is missing"), ({"token": 1}, "lock's name is missing"), ({"lock": "a", "token": "x"}, "not string 'x'"),
                             ({"lock": "a", "token": 0}, "not int 0"), ("a", "not string 'a'"), ({"lock": "a", "token": 1, "ttl": 1}, "without 'ttl'")]:
            self.assertEqual(self.fault(words, self.sql.execute, "SELECT 1", [], {"fence": fence}), -32602)
        good = {"fence": {"lock": "a", "token": 1}}
        self.assertEqual(self.fault("it guards writes", self.sql.query, "SELECT 1", [], good), -32602)
        self.assertEqual(self.fault("it guards writes", self.sql.begin, good), -32602)
        self.assertEqual(self.fault("did you mean 'fence'?", self.sql.execute, "SELECT 1", [], {"fense": {}}), -32602)


class Transactions(SqlCase):
    def test_commit_and_rollback(self):
        tx = self.sql.begin()
        self.sql.execute("INSERT INTO city VALUES ('Oslo', 'NO')", [], {"tx": tx})
        self.assertEqual(self.sql.query("SELECT count(*) FROM city", [], {"tx": tx})["rows"], [[1]])
        self.assertEqual(self.sql.query("SELECT count(*) FROM city")["rows"], [[0]])
        committed = self.sql.commit(tx)
        self.assertEqual((committed["route"]["node"], committed["route"]["why"]), ("primary", "a commit"))
        token = committed["token"]
        self.assertEqual(self.sql.query("SELECT count(*) FROM city", [], {"after": token})["rows"], [[1]])
        tx = self.sql.begin()
        self.sql.execute("DELETE FROM city", [], {"tx": tx})
        self.assertTrue(self.sql.rollback(tx))
        self.assertEqual(self.sql.query("SELECT count(*) FROM city")["rows"], [[1]])
        self.assertEqual(self.fault("it was rolled back", self.sql.execute, "SELECT 1", [], {"tx": tx}), -32005)
        self.assertEqual(self.fault("no transaction has the handle", self.sql.commit, "nonsense"), -32004)

    def test_an_abandoned_one_is_rolled_back_and_says_so(self):
        tx = self.sql.begin({"timeout_ms": 200})
        self.sql.execute("INSERT INTO city VALUES ('Oslo', 'NO')", [], {"tx": tx})
        self.sql.execute("INSERT INTO city VALUES ('Bergen', 'NO')")  # waits for it to be over
        self.assertEqual(self.sql.query("SELECT name FROM city")["rows"], [["Bergen"]])
        self.assertEqual(self.fault("when its 200 ms were over", self.sql.commit, tx), -32005)

    def test_a_neighbour_who_cannot_wait_is_told_why(self):
        tx = self.sql.begin({"timeout_ms": 5000})
        self.assertEqual(self.fault("which a transaction (sql.begin) holds", self.sql.execute, "DELETE FROM city", [], {"timeout_ms": 150}), -32011)
        self.assertTrue(self.sql.rollback(tx))

    def test_a_failed_statement_leaves_the_transaction_open(self):
        tx = self.sql.begin()
        self.sql.execute("INSERT INTO city VALUES ('Oslo', 'NO')", [], {"tx": tx})
        self.fault("UNIQUE", self.sql.execute, "INSERT INTO city VALUES ('Oslo', 'NO')", [], {"tx": tx})
        self.sql.commit(tx)
        self.assertEqual(self.sql.query("SELECT count(*) FROM city")["rows"], [[1]])

    def test_a_batch_is_all_or_nothing(self):
        self.fault("statement 2 of 2", self.sql.batch, [["INSERT INTO city VALUES ('Oslo', 'NO')"], ["INSERT INTO city VALUES ('Oslo', 'NO')"]])
        self.assertEqual(self.sql.query("SELECT count(*) FROM city")["rows"], [[0]])
        b = self.sql.batch([["INSERT INTO city VALUES (?, ?)", ["Oslo", "NO"]], ["UPDATE city SET country = 'X'"]])
        self.assertEqual([r["affected"] for r in b["results"]], [1, 1])


    def test_a_longer_time_than_there_is_is_refused(self):
        self.fault("must be at most 300000 (sql.transaction_ms), not 300001", self.sql.begin, {"timeout_ms": 300_001})
        self.sql.rollback(self.sql.begin({"timeout_ms": 300_000}))


class Bounds(SqlCase):
    def test_a_bound_is_named(self):
        self.fault("level 'bounded' needs the option 'max_lag_ms'", self.sql.query, "SELECT 1", [], {"level": "bounded"})
        self.sql.query("SELECT 1", [], {"level": "bounded", "max_lag_ms": 100})


class Cursors(SqlCase):
    def test_rows_in_parts(self):
        cursor = self.sql.open("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) SELECT i FROM n")
        sizes, last = [], None
        while True:
            part = self.sql.fetch(cursor, 100)
            self.assertEqual(part["columns"], ["i"])
            sizes.append(len(part["rows"]))
            last = part["rows"][-1] if part["rows"] else last
            if part["end"]:
                break
        self.assertEqual((sum(sizes), last), (250, [250]))
        self.assertEqual(self.fault("read to its end", self.sql.fetch, cursor), -32004)

    def test_closing(self):
        cursor = self.sql.open("SELECT 1")
        self.assertTrue(self.sql.close(cursor))
        self.assertFalse(self.sql.close(cursor))

    def test_the_first_part_tells_where_it_came_from(self):
        cursor = self.sql.open("VALUES (1), (2)")
        first, second = self.sql.fetch(cursor, 1), self.sql.fetch(cursor, 1)
        self.sql.close(cursor)
        self.assertEqual((first["route"]["node"], first["route"]["class"]), ("replica", "read"))
        self.assertNotIn("route", second)

    def test_only_reads(self):
        for statement, words in [("DELETE FROM city", "only a read can be taken in parts, and this is none (write): deletes from city; call sql.execute"),
                                 ("SELECT changes()", "(primary)"), ("ATTACH 'x' AS y", "(session)"), ("SELEC", "syntax error"), ("SELECT * FROM nowhere", "no such table")]:
            self.fault(words, self.sql.open, statement)

    def test_too_many(self):
        cursors = [self.sql.open("SELECT 1") for _ in range(64)]
        self.assertEqual(self.fault("64 cursors are open", self.sql.open, "SELECT 1"), -32010)
        for cursor in cursors:
            self.sql.close(cursor)


class Together(SqlCase):
    def test_nobody_reads_less_than_was_acknowledged_to_him(self):
        stale = []

        def writer(number):
            with proxy() as g:
                g.sql.execute("INSERT INTO counter VALUES (?, 0)", [number])
                for i in range(1, 150):
                    g.sql.execute("UPDATE counter SET n = ? WHERE id = ?", [i, number])
                    seen = g.sql.query("SELECT n FROM counter WHERE id = ?", [number])["rows"][0][0]
                    if seen < i:
                        stale.append((number, i, seen))

        self.at_once(writer, 8)
        self.assertEqual(stale, [])

    def test_one_callers_failure_takes_no_neighbour_along(self):
        self.sql.execute("INSERT INTO counter VALUES (1, 0)")
        failed = []

        def caller(number):
            with proxy() as g:
                for i in range(60):
                    if number % 2:
                        g.sql.execute("UPDATE counter SET n = n + 1 WHERE id = 1")
                    else:
                        statement = ["UPDATE counter SET n = -1 WHERE id = 1", "INSERT OR ROLLBACK INTO counter VALUES (1, 0)"][i % 2]
                        try:
                            g.sql.execute(statement)
                        except xmlrpc.client.Fault:
                            failed.append(number)

        self.at_once(caller, 8)
        self.assertEqual(len(failed), 4 * 60)
        self.assertEqual(self.sql.query("SELECT n FROM counter WHERE id = 1")["rows"], [[4 * 60]])

    def at_once(self, work, count):
        threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()


class Death(unittest.TestCase):
    def test_no_acknowledged_write_is_lost_by_kill_9(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            path = os.path.join(folder, "death.db")
            acknowledged = []
            for round in range(3):
                server = Gateway(data=path)
                with xmlrpc.client.ServerProxy(server.url) as g:
                    g.sql.execute("CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY)")
                    rows = [r[0] for r in g.sql.query("SELECT id FROM log")["rows"]]
                    self.assertEqual(set(acknowledged) - set(rows), set())

                def write(number, url=server.url, base=round * 1_000_000):
                    with xmlrpc.client.ServerProxy(url) as g:
                        try:
                            for i in range(100_000):
                                g.sql.execute("INSERT INTO log VALUES (?)", [base + number * 10_000 + i])
                                acknowledged.append(base + number * 10_000 + i)
                        except (OSError, xmlrpc.client.Error, EOFError):
                            pass
                        except Exception as error:  # http.client's way to say that the connection died
                            if not type(error).__module__.startswith("http"):
                                raise

                threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
                for t in threads:
                    t.start()
                count = len(acknowledged)
                wait_for(lambda: len(acknowledged) > count + 200, "200 acknowledged writes")
                server.kill()
                for t in threads:
                    t.join()
                server.stop()
            with Gateway(data=path) as server, xmlrpc.client.ServerProxy(server.url) as g:
                rows = {r[0] for r in g.sql.query("SELECT id FROM log")["rows"]}
                self.assertEqual(set(acknowledged) - rows, set())


if __name__ == "__main__":
    unittest.main()
