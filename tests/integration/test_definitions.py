"""What users define (functions, views, operators, types, policies) is what a gateway takes it for: for the next statement of whoever defined
it through that gateway, within seconds for everybody else, and nothing of it changes anything on a replica meanwhile."""

import os
import sys
import unittest

sys.path.append(os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import mariadb
import postgres
from cases import FaultCase
from gateway import Gateway, proxy, serving, wait_for


class DefinitionCase(FaultCase):
    make_cluster = None  # one of tests/clusters

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.make_cluster(replicas=1, fsync=False)
        cls.gateways = cls.enterClassContext(serving(cls.cluster))

    def setUp(self):
        self.g, self.other = proxy(self.gateways[0]), proxy(self.gateways[1])
        self.addCleanup(self.g("close"))
        self.addCleanup(self.other("close"))

    def define(self, *statements):
        for statement in statements:
            self.g.sql.execute(statement)

    def kind(self, statement, g=None):
        return (g or self.g).sql.explain(statement)["class"]

    def check(self, kind, definitions, statements):
        self.define(*definitions)
        self.assertEqual({s: is_ for s in statements if (is_ := self.kind(s)) != kind}, {}, definitions)


class PostgreSql(DefinitionCase):
    make_cluster = postgres.Postgres

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.sql(0, "CREATE EXTENSION dblink")
        cls.cluster.sql(0, "CREATE TABLE t(a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y'); CREATE SEQUENCE s; "
                           "CREATE FUNCTION moves(int) RETURNS int LANGUAGE sql AS 'SELECT nextval(''s'')::int + $1'", user="app")

    def test_views_of_postgresqls_own_functions_with_effects_are_the_primarys(self):
        calls = ("pg_advisory_lock(1)", "pg_try_advisory_xact_lock(1)", "set_config('a.b', 'c', false)", "nextval('s')", "pg_notify('a', 'b')", "dblink_exec('dbname=app', 'DELETE FROM t')",
                 "lo_create(0)", "pg_current_wal_lsn()", "pg_backend_pid()", "query_to_xml('SELECT 1', true, true, '')", "coalesce((SELECT max(a) FROM t WHERE pg_advisory_lock(a) IS NULL), 1)",
                 "count(*) FILTER (WHERE pg_try_advisory_lock(1))", "setseed(0.5)", "pg_stat_clear_snapshot()")
        for i, call in enumerate(calls):
            self.check("primary", [f"CREATE VIEW acts{i} AS SELECT ({call})::text AS c", f"CREATE VIEW \"Over it{i}\" AS SELECT 1 FROM acts{i}"],
                       [f"SELECT * FROM acts{i}", f"TABLE public.acts{i}", f"SELECT 1 FROM t WHERE a IN (SELECT 1 FROM \"Over it{i}\")", f"WITH x AS (TABLE acts{i}) TABLE x"])
        self.check("primary", ["CREATE VIEW counters AS SELECT * FROM pg_sequences", "CREATE VIEW state AS SELECT last_value FROM s"], ["TABLE counters", "TABLE state"])

    def test_views_that_only_read_are_reads(self):
        self.check("read", ["CREATE VIEW plain AS SELECT a, upper(b) FROM t", "CREATE VIEW chance AS SELECT random(), clock_timestamp(), gen_random_uuid()",
                            "CREATE VIEW tables AS SELECT * FROM information_schema.tables", "CREATE VIEW active AS SELECT * FROM pg_stat_activity", "CREATE VIEW text AS SELECT 'nextval(1)' AS nextval",
                            "CREATE FUNCTION halves(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1 / 2'", "CREATE VIEW half AS SELECT halves(a) FROM t",
                            "CREATE DOMAIN positive AS int CHECK (VALUE > 0 AND length(VALUE::text) < 9)"],
                   ["TABLE plain", "TABLE chance", "TABLE tables", "TABLE active", "TABLE text", "TABLE half", "SELECT halves(2), 2::positive"])

    def test_a_materialized_view_is_read_and_its_refresh_a_write(self):
        self.define("CREATE MATERIALIZED VIEW kept AS SELECT nextval('s') AS n", "CREATE VIEW over_kept AS SELECT n FROM kept")
        self.assertEqual((self.kind("TABLE kept"), self.kind("TABLE over_kept"), self.kind("REFRESH MATERIALIZED VIEW kept")), ("read", "read", "write"))

    def test_what_calls_without_a_name_is_the_primarys(self):
        self.check("primary", [
            "CREATE DOMAIN locked AS int CHECK (pg_advisory_lock(VALUE) IS NOT NULL)", "CREATE DOMAIN relocked AS locked", "CREATE TYPE pair AS (a int, b relocked)",
            "CREATE FUNCTION takes(relocked) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'"],
            ["SELECT 1::locked", "SELECT 1::relocked", "SELECT ROW(1, 2)::pair", "SELECT '{1}'::locked[]", "SELECT takes(1)", "SELECT * FROM json_to_record('{}') AS x(a relocked)"])
        self.check("primary", ["CREATE FUNCTION differ(text, text) RETURNS text LANGUAGE sql AS 'SELECT set_config($1, $2, false)'",
                               "CREATE OPERATOR <%%> (leftarg = text, rightarg = text, function = differ)", "CREATE VIEW operated AS SELECT 'a.b' <%%> 'c' AS o"],
                   ["SELECT 'a.b' <%%> 'c'", "SELECT 'a.b' OPERATOR(public.<%%>) 'c'", "TABLE operated"])
        self.check("primary", ["CREATE TYPE coin AS (cents int)", "CREATE FUNCTION worth(coin) RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''s'')'", "CREATE CAST (coin AS bigint) WITH FUNCTION worth(coin) AS IMPLICIT",
                               "CREATE TABLE purse(c coin)", "CREATE FUNCTION penny() RETURNS coin STABLE LANGUAGE sql AS 'SELECT ROW(1)::coin'"],
                   ["SELECT abs(c) FROM purse", "SELECT c::bigint FROM purse", "SELECT abs(ROW(1)::coin)", "SELECT abs(penny())"])
        self.check("primary", ["CREATE TABLE guarded(a int)", "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON guarded USING (pg_try_advisory_lock(a))", "CREATE VIEW over_guarded AS TABLE guarded",
                               "CREATE TABLE whole(a int) PARTITION BY LIST (a)", "CREATE TABLE part PARTITION OF whole DEFAULT", "CREATE POLICY p ON part USING (a < moves(1))"],
                   ["TABLE guarded", "TABLE over_guarded", "TABLE whole"])
        self.check("primary", ["CREATE FUNCTION gather(int, int) RETURNS int LANGUAGE sql AS 'SELECT moves($1)'", "CREATE AGGREGATE gathered(int) (sfunc = gather, stype = int, initcond = '0')",
                               "CREATE VIEW gathering AS SELECT gathered(a) FROM t"], ["SELECT gathered(a) FROM t", "SELECT gathered(a) OVER () FROM t", "TABLE gathering"])

    def test_a_function_that_names_what_has_effects_is_the_primarys_whatever_it_says_of_itself(self):
        self.check("primary", [
            "CREATE FUNCTION lies() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1 FROM pg_advisory_lock(1)'", "CREATE FUNCTION lies_too() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM moves(1); RETURN 1; END'",
            "CREATE FUNCTION believes() RETURNS int STABLE LANGUAGE sql AS 'SELECT lies()'", "CREATE FUNCTION atomic() RETURNS bigint STABLE BEGIN ATOMIC SELECT nextval('s'); END",
            "CREATE FUNCTION given(n bigint DEFAULT nextval('s')) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT n'", "CREATE VIEW lied AS SELECT believes()",
            "CREATE VIEW locks AS SELECT pg_try_advisory_lock(2) AS l", "CREATE FUNCTION reads_it() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM \"locks\"); END'"],
            ["SELECT lies()", "SELECT lies_too()", "EXPLAIN SELECT lies_too()", "SELECT believes()", "SELECT atomic()", "SELECT given()", "TABLE lied", "SELECT reads_it()"])

    def test_a_definition_counts_for_the_next_statement(self):
        g = self.g
        for i in range(20):
            kept, view = ("VOLATILE", "pg_backend_pid()") if i % 2 else ("STABLE", "5")
            self.define(f"CREATE OR REPLACE FUNCTION turns() RETURNS int {kept} LANGUAGE sql AS 'SELECT 5'", f"CREATE OR REPLACE VIEW turned AS SELECT {view} AS n")
            expected = "primary" if i % 2 else "read"
            self.assertEqual((self.kind("SELECT turns()"), self.kind("TABLE turned")), (expected, expected), i)
            self.assertEqual(g.sql.query("SELECT turns()")["route"]["class"], expected)
        self.define("ALTER FUNCTION turns() VOLATILE")
        self.assertEqual(self.kind("SELECT turns()"), "primary")
        g.sql.batch([["ALTER FUNCTION turns() STABLE"], ["INSERT INTO t VALUES (100, '')"]])
        self.assertEqual(self.kind("SELECT turns()"), "read")
        tx = g.sql.begin()
        g.sql.execute("ALTER FUNCTION turns() VOLATILE", [], {"tx": tx})
        g.sql.commit(tx)
        self.assertEqual(self.kind("SELECT turns()"), "primary")
        self.define("DO 'BEGIN EXECUTE ''ALTER FUNCTION turns() STABLE''; END'")
        self.assertEqual(self.kind("SELECT turns()"), "read")
        g.sql.execute("ALTER FUNCTION turns() VOLATILE", [], {"key": "turn"})
        self.assertEqual(self.kind("SELECT turns()"), "primary")

    def test_another_gateway_learns_of_it_within_seconds(self):
        self.assertEqual(self.kind("SELECT fresh()", self.other), "primary")
        self.define("CREATE FUNCTION fresh() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'")
        wait_for(lambda: self.kind("SELECT fresh()", self.other) == "read", "the other gateway to learn of a function", 5)
        self.define("CREATE OR REPLACE FUNCTION fresh() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1'", "CREATE VIEW fresh_lock AS SELECT pg_try_advisory_lock(3) AS l")
        wait_for(lambda: {self.kind("SELECT fresh()", self.other), self.kind("TABLE fresh_lock", self.other)} == {"primary"}, "the other gateway to learn of its change and of a view", 5)

    def test_the_first_statement_of_a_gateway_is_judged_by_what_is_defined(self):
        self.define("CREATE VIEW early AS SELECT pg_try_advisory_xact_lock(4) AS l", "CREATE FUNCTION early_too() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'")
        self.cluster.sync()
        for statement, role in (("SELECT l FROM early", "primary"), ("SELECT early_too()", "replica")):
            with Gateway(data=self.cluster.url()) as gateway, proxy(gateway) as g:
                if role == "primary":
                    self.assertEqual(g.sql.query(statement)["route"]["role"], role)
                wait_for(lambda: g.sql.query(statement)["route"]["role"] == role, f"{statement} to run on a {role}")

    def test_a_function_that_hides_what_it_calls_is_refused_by_a_replica(self):
        """But for what a replica allows: the locks of such a one are its own affair."""
        self.define("CREATE FUNCTION hides() RETURNS bigint STABLE LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT next' || 'val(''s'')' INTO n; RETURN n; END $$")
        self.cluster.sync()
        self.assertEqual(self.kind("SELECT hides()"), "read")
        first, second = self.g.sql.query("SELECT hides()"), self.g.sql.query("SELECT hides()")
        self.assertEqual((second["rows"][0][0] - first["rows"][0][0], second["route"]["role"]), (1, "primary"))


class MariaDb(DefinitionCase):
    make_cluster = mariadb.MariaDB

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.sql(0, "CREATE TABLE t(a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'); CREATE SEQUENCE s; CREATE TABLE written(n int) ENGINE=InnoDB; CREATE TABLE kept(n int) ENGINE=Aria TRANSACTIONAL=0")

    def test_views_that_call_what_may_have_effects_are_the_primarys_and_others_are_not(self):
        self.define("CREATE FUNCTION adds() RETURNS INT BEGIN INSERT INTO written VALUES (1); RETURN 1; END", "CREATE VIEW adding AS SELECT adds() AS n", "CREATE VIEW over_adding AS SELECT n FROM adding",
                    "CREATE VIEW moving AS SELECT NEXT VALUE FOR s AS n", "CREATE VIEW locking AS SELECT GET_LOCK('a', 0) AS n", "CREATE VIEW plain AS SELECT a, CONCAT(b, '!') AS b, COUNT(*) AS c FROM t GROUP BY a",
                    "CREATE VIEW over_plain AS SELECT * FROM plain")
        for text in ("SELECT * FROM adding", "SELECT `n` FROM `app`.`over_adding`", "SELECT 1 FROM t WHERE a IN (SELECT n FROM moving)", "SELECT * FROM locking"):
            self.assertEqual(self.kind(text), "primary", text)
        for text in ("SELECT * FROM plain", "SELECT * FROM over_plain AS adding_not", "SELECT 'adding'"):
            self.assertEqual(self.kind(text), "read", text)

    def test_a_definition_counts_for_the_next_statement(self):
        for i in range(10):
            self.define(f"CREATE OR REPLACE VIEW turned AS SELECT {'NEXTVAL(s)' if i % 2 else '1'} AS n")
            self.assertEqual(self.kind("SELECT * FROM turned"), "primary" if i % 2 else "read", i)
        self.g.sql.execute("BEGIN NOT ATOMIC CREATE OR REPLACE VIEW turned AS SELECT 1 AS n; END")
        self.assertEqual(self.kind("SELECT * FROM turned"), "read")
        tx = self.g.sql.begin()
        self.fault("commits by itself", self.g.sql.execute, "CREATE OR REPLACE VIEW turned AS SELECT NEXTVAL(s) AS n", [], {"tx": tx})
        self.assertEqual(self.kind("SELECT * FROM turned"), "read")
        self.g.sql.rollback(tx)
        self.define("CREATE VIEW elsewhere AS SELECT NEXTVAL(s) AS n")
        wait_for(lambda: self.kind("SELECT * FROM elsewhere", self.other) == "primary", "the other gateway to learn of a view", 10)

    def test_what_no_gateway_knows_yet_writes_nothing_on_a_replica(self):
        """Views whose functions write, and whose definer may do so although the server is read_only, made behind the gateways' backs."""
        rows = lambda node, table: self.cluster.sql(node, f"SELECT COUNT(*) FROM {table}")
        for i, table in enumerate(("written", "kept") * 5):
            made = f"CREATE DEFINER=root@localhost FUNCTION unseen{i}() RETURNS INT SQL SECURITY DEFINER BEGIN INSERT INTO {table} VALUES ({i}); RETURN 1; END"
            self.cluster.sql(0, "DELIMITER $$\n" + made)
            self.cluster.sql(0, f"CREATE DEFINER=root@localhost SQL SECURITY DEFINER VIEW unseen_view{i} AS SELECT unseen{i}() AS n")
            self.cluster.sync()
            before = int(rows(0, table))
            answer = self.g.sql.query(f"SELECT n FROM unseen_view{i}")
            self.assertEqual((answer["rows"], answer["route"]["role"]), ([[1]], "primary"))
            self.cluster.sync()
            self.assertEqual((rows(0, table), rows(1, table)), (str(before + 1),) * 2)
        self.assertEqual(self.cluster.slave_status(1)["Slave_SQL_Running"], "Yes")


if __name__ == "__main__":
    unittest.main()
