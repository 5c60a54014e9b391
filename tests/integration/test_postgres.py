"""sql.* over a real PostgreSQL cluster: what it shares with other engines, and what is its own."""

import contextlib
import subprocess
import tempfile
import unittest
from pathlib import Path

import cluster_cases
from cases import adopt
from cluster_cases import Hangs, PutBack, Users, setUpModule  # noqa: F401
from gateway import SLUICE, Gateway, proxy, wait_for
from postgres import Postgres


class PostgreSql(cluster_cases.Engine):
    cluster = Postgres
    dialect = "postgresql"
    version, position = r"^1\d\.\d+ ", r"^s1\.\d+\.0-[01]-\d+\."
    no_such_table = 'relation "nosuch" does not exist'
    duplicate_key = "SQLSTATE 23505"
    two_statements = "cannot insert multiple commands"
    deadlock = "SQLSTATE 40P01"
    too_many_parameters = "at most 65535 parameters, not 65536"
    fails_at_zero = "SELECT 1 / ?::int", "division by zero"
    kinds = {
        "b": ("boolean", True), "i2": ("smallint", -3), "i4": ("int", 5), "i8": ("bigint", 2**31 - 1), "f": ("double precision", 0.1), "n": ("numeric", "123456789012345678901234567890.5"),
        "t": ("text", "Ærøskøbing 🦭 'quoted' \\ ?"), "y": ("bytea", bytes(range(256))), "d": ("date", "2026-02-28"), "j": ("jsonb", '{"a": [1, null]}'),
        "u": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "a": ("int[]", [1, None, 3]), "ta": ("text[]", ["a,b", 'c"d', None, ""]), "x": ("text", None),
    }
    instant = "timestamptz"
    deep = "SELECT " + "+".join(["1"] * 2500) + ", set_config('search_path', 'nowhere', false)"
    taking_over = dict.fromkeys((deep, "BEGIN /*" + "x" * 1_100_000 + "*/", "BEGIN " + "/*" * 3000 + "*/" * 3000))
    setting = "SELECT current_setting('search_path')", '"$user", public'
    slow_to_scan = {"/*" * 100_000 + "*/" * 100_000 + " SELECT 1": "primary", "SELECT 1 " + "+" * 100_000 + " 1": "primary"}
    endless = "SELECT generate_series(1, 100000000)"
    lag_ms = 500

    def numbers(self, count):
        return f"SELECT n, repeat('x', 100) FROM generate_series(1, {count}) AS n"

    @contextlib.contextmanager
    def statements_logged(self, cluster):
        nodes = range(cluster.nodes)
        said = lambda setting: [(cluster.sql(n, f"ALTER SYSTEM {setting}"), cluster.sql(n, "SELECT pg_reload_conf()")) for n in nodes]
        said("SET log_statement = 'all'")
        try:
            [wait_for(lambda: cluster.sql(n, "SHOW log_statement") == "all", "the servers to log statements") for n in nodes]
            yield lambda node: (cluster.folder / f"node{node}.log").read_text()
        finally:
            said("RESET log_statement")


cluster_cases.engine = PostgreSql()


class Statements(cluster_cases.Statements):
    def test_what_a_replica_refuses_runs_on_the_primary_and_is_remembered(self):
        self.sql.execute("CREATE SEQUENCE IF NOT EXISTS concealed")
        self.sql.execute("CREATE OR REPLACE FUNCTION liar() RETURNS bigint STABLE LANGUAGE plpgsql AS "
                         "$$ DECLARE n bigint; BEGIN EXECUTE 'SELECT next' || 'val(''concealed'')' INTO n; RETURN n; END $$")
        self.cluster.sync()
        self.assertEqual(self.sql.explain("SELECT liar()")["class"], "read")
        first = self.sql.query("SELECT liar()")
        second = self.sql.query("SELECT liar()")
        self.assertEqual([first["rows"], second["rows"]], [[[1]], [[2]]])
        self.assertEqual((second["route"]["role"], second["route"]["class"]), ("primary", "primary"))
        self.assertIn("would not run it as a read", second["route"]["why"])

    def test_what_a_replica_cannot_do_for_once_is_its_own_again_afterwards(self):
        self.sql.execute("CREATE TABLE ailing(ill boolean)")
        self.sql.execute("INSERT INTO ailing VALUES (true)")
        for code in ("XX000", "55000"):
            self.sql.execute(f"CREATE OR REPLACE FUNCTION ail() RETURNS int STABLE LANGUAGE plpgsql AS "
                             f"$$ BEGIN IF (SELECT ill FROM ailing) AND (pg_is_in_recovery() OR '{code}' = '55000') THEN RAISE EXCEPTION 'unwell' USING ERRCODE = '{code}'; END IF; RETURN 1; END $$")
            ill = self.sql.execute("UPDATE ailing SET ill = true")["token"]
            if code == "XX000":  # trouble of the replica's own: the primary answers meanwhile
                self.assertEqual(self.sql.query("SELECT ail()", [], {"after": ill})["route"]["role"], "primary")
            else:  # the primary says no as well: that is no reason to ask it alone from now on
                self.fault("unwell", self.sql.query, "SELECT ail()", [], {"after": ill})
            well = self.sql.execute("UPDATE ailing SET ill = false")["token"]
            self.cluster.sync()
            route = self.sql.query("SELECT ail()", [], {"after": well})["route"]
            self.assertEqual(route["role"], "replica", (code, route))

    def test_users_functions_are_what_the_catalogue_says(self):
        self.sql.execute("CREATE SEQUENCE IF NOT EXISTS hidden")
        self.sql.execute("CREATE OR REPLACE FUNCTION twice(n int) RETURNS int STABLE LANGUAGE sql AS 'SELECT 2 * n'")
        self.sql.execute("CREATE OR REPLACE FUNCTION count_up() RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''hidden'')'")
        self.assertEqual(self.sql.explain("SELECT twice(2)")["class"], "read")
        self.assertEqual(self.sql.explain("SELECT count_up()")["class"], "primary")
        self.assertIn("declare it STABLE", self.sql.explain("SELECT count_up()")["why"])
        self.assertEqual(self.sql.explain("SELECT nobody_made_this()")["class"], "primary")

    def test_what_users_made_that_calls_a_volatile_function_is_the_primarys(self):
        for statement in ("CREATE SCHEMA made", "CREATE SEQUENCE made.counter", "CREATE TABLE made.thing(id int, last_value int)", "CREATE TYPE made.mood AS ENUM ('well')",
                          "CREATE FUNCTION made.bump(made.thing) RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''made.counter'')'",
                          "CREATE FUNCTION made.lower(int) RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''made.counter'')'",
                          "CREATE FUNCTION made.both(int, int) RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''made.counter'')'",
                          "CREATE OPERATOR made.<+> (leftarg = int, rightarg = int, function = made.both)", "CREATE DOMAIN made.locked AS int CHECK (pg_advisory_lock(VALUE) IS NOT NULL)",
                          "CREATE VIEW made.seen AS SELECT made.bump(thing) FROM made.thing", "CREATE VIEW made.seen_again AS SELECT * FROM made.seen",
                          "CREATE VIEW made.plain AS SELECT id FROM made.thing"):
            self.sql.execute(statement)
        kind = lambda text: self.sql.explain(text)["class"]
        self.assertEqual((kind("SELECT 'well'::made.mood"), kind("SELECT * FROM made.seen")), ("read", "primary"))
        for text in ("SELECT * FROM made.counter", "SELECT thing.bump FROM made.thing", "SELECT lower(5)", "SELECT made.lower(5)", "SELECT 1 OPERATOR(made.<+>) 2", "SELECT 1 <+> 2",
                     "SELECT 1::made.locked", "SELECT * FROM made.seen_again"):
            self.assertEqual(kind(text), "primary", text)
        for text in ("SELECT pg_catalog.lower('X')", "SELECT id, last_value FROM made.thing", "SELECT * FROM made.plain", "SELECT upper('x'), 1 + 2"):
            self.assertEqual(kind(text), "read", text)

    def test_nothing_within_a_batch_commits(self):
        self.cluster.sql(0, "CREATE OR REPLACE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO event VALUES ('committed', 1); COMMIT; END $$")
        self.sql.execute("CALL commits()")
        self.sql.execute("DELETE FROM event WHERE id = 'committed'")
        insert = ["INSERT INTO event VALUES ('batch', 1)"]
        for statement in ("CALL commits()", "DO $$ BEGIN COMMIT; END $$"):
            self.fault("invalid transaction termination", self.sql.batch, [insert, [statement]])
            self.fault("invalid transaction termination", self.sql.batch, [[statement], insert])
        self.fault("run the statement alone by sql.execute", self.sql.execute, "CALL commits()", [], {"key": "commits"})
        for statement in ("VACUUM event", "CREATE INDEX CONCURRENTLY too_many ON event (round)"):
            self.fault("cannot run inside a transaction block", self.sql.batch, [[statement], insert])
        self.assertEqual(self.sql.query("SELECT id FROM event WHERE id IN ('batch', 'committed')", [], {"level": "latest"})["rows"], [])
        answer = self.sql.batch([["CREATE TABLE made_here(id int)"], ["INSERT INTO made_here VALUES (7) RETURNING id"], ["DROP TABLE made_here"], ["DO 'BEGIN END'"]])
        self.assertEqual((len(answer["results"]), answer["results"][1]["rows"], answer["route"]["role"]), (4, [[7]], "primary"))
        self.assertTrue(answer["token"])

    def test_a_transaction_whose_connection_is_gone_is_not_counted(self):
        self.sql.begin()
        wait_for(lambda: self.sql.topology()["transactions"] == 1, "the transaction to be counted")
        self.cluster.sql(0, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
        wait_for(lambda: self.sql.topology()["transactions"] == 0, "it to be gone", 5)

    def test_the_command_line_shows_microseconds_where_the_wire_carries_them(self):
        call = lambda url: subprocess.run([SLUICE, "call", url, "sql.query", "SELECT ?::timestamptz", '[{"$datetime": "20261123T14:05:00.000123"}]'], capture_output=True, text=True, check=True, timeout=60).stdout
        gateway = cluster_cases.gateways[0]
        self.assertIn('"20261123T14:05:00.000123"', call(gateway.endpoint))
        self.assertIn('"20261123T14:05:00"', call(gateway.url))

    def test_a_named_statement_has_casts(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "cast.sql").write_text("".join(f"-- name: cast.{name}\n-- read\n-- param: i int\nSELECT {mark}::int\n" for name, mark in (("mark", "?"), ("number", "$1"), ("name", ":i"))))
            with Gateway(config=f'[sql]\nstatements = "{folder}"\n[database.main]\nurl = "{self.cluster.url()}"\n') as gateway, proxy(gateway) as g:
                self.assertEqual([getattr(g.cast, name)(5)["rows"] for name in ("mark", "number", "name")], [[[5]]] * 3)

    def test_a_failed_transaction_is_not_committed(self):
        tx = self.sql.begin()
        self.fault("does not exist", self.sql.execute, "INSERT INTO nosuch VALUES (1)", [], {"tx": tx})
        self.fault("takes only sql.rollback", self.sql.query, "SELECT 1", [], {"tx": tx})
        self.fault("was rolled back", self.sql.commit, tx)

    def test_names_that_are_too_long_to_be_told_are_cut_between_characters(self):
        name = "a" + "é" * 31
        self.sql.execute(f"CREATE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        self.assertEqual(self.sql.query(f"SELECT {name}()")["rows"], [[1]])
        for text in ("SELECT 1€", "SELECT 1::" + name, "SELECT * FROM t TABLESAMPLE " + name + " (1)"):
            self.assertIn(self.sql.explain(text, {"dialect": "postgresql"})["class"], ("read", "primary"), text)
        self.sql.explain("a" + "é" * 40 + " x", {"dialect": "mariadb"})


class Pairs(cluster_cases.Pairs):
    def test_with_a_little_lag(self):
        self.with_lag([1, 2], 5, 1800)


adopt(__name__)
if __name__ == "__main__":
    unittest.main()
