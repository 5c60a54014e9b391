"""The corpus of statements on real servers: what is called a read changes nothing and runs on a replica; what a replica takes although it
is called no read is known by name. tests/handlers/sql/classify/corpus_test.cc holds the gateway's own opinion to the same rows."""

import collections
import os
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ["SLUICE_SOURCE"]
sys.path.append(os.path.join(SOURCE, "tests/clusters"))

import mariadb
import postgres


def corpus(dialect):
    rows = collections.defaultdict(list)
    with open(os.path.join(SOURCE, f"tests/handlers/sql/classify/corpus/{dialect}.tsv")) as f:
        for line in f:
            kind, statement = line.rstrip("\n").split("\t")
            rows[kind].append(statement)
    return rows


class PostgreSql(unittest.TestCase):
    """Each row in a session of its own, as the gateway's role; `mine` and `dblink` are functions that do not exist there."""

    SCHEMA = """
        CREATE TABLE t(a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');
        CREATE TABLE u(a int, b text); INSERT INTO u VALUES (1, 'u');
        CREATE SEQUENCE s; CREATE VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW mv AS SELECT a FROM t;
        CREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO u VALUES (9)'"""
    # What a standby runs although it is no read (or is one, of a kind that only concerns the primary): the classifier alone keeps it away.
    ACCEPTED = ("SELECT 1 FOR UPDATE", "SELECT pg_backend_pid()", "SELECT pg_advisory_xact_lock(1)", "SELECT pg_try_advisory_xact_lock(1)",
                "SELECT lo_unlink(0) WHERE false", "SELECT query_to_xml", "SELECT pg_terminate_backend(0)", "SELECT pg_cancel_backend(0)",
                "SELECT (x.p).pg_terminate_backend", "SELECT last_value FROM s", "SELECT is_called FROM s")

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Postgres(replicas=1, fsync=False).__enter__()
        cls.cluster.sql(0, cls.SCHEMA, user="app")
        cls.cluster.sync()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.destroy()

    def digest(self):
        return self.cluster.sql(0, "SELECT (SELECT string_agg(t::text, ';' ORDER BY a) FROM t), (SELECT string_agg(u::text, ';' ORDER BY a) FROM u), (SELECT last_value FROM s), "
                                   "(SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_largeobject_metadata)")

    def run_all(self, node, statements):
        """The error of each statement, None where there was none: one psql, a session for each."""
        script = "\n".join(f"\\connect\n\\echo == {i}\n{s}\n;\n\\echo :SQLSTATE" for i, s in enumerate(statements))
        done = subprocess.run([self.cluster.bin / "psql", "-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.cluster.node_port(node)), "-U", "app", "-d", "app"],
                              input=script, capture_output=True, text=True, timeout=120)
        parts = done.stdout.split("== ")[1:]
        self.assertEqual(len(parts), len(statements), done.stderr[-2000:])
        return {s: part.strip().splitlines()[-1] for s, part in zip(statements, parts)}

    def test_reads_run_on_a_replica_and_change_nothing_on_a_primary(self):
        reads = corpus("postgresql")["read"]
        self.assertGreater(len(reads), 80)
        before = self.digest()
        self.assertEqual({s: code for s, code in self.run_all(1, reads).items() if code != "00000"}, {})
        self.assertEqual({s: code for s, code in self.run_all(0, reads).items() if code != "00000"}, {})
        self.assertEqual(self.digest(), before)

    def test_a_replica_refuses_what_writes_or_the_exception_is_known(self):
        rows = corpus("postgresql")
        wrong = {}
        for kind in ("write", "primary"):
            # Two would end the test itself, and psql tells of the last statement alone.
            statements = [s for s in rows[kind] if not s.startswith(("SELECT pg_promote", "SELECT pg_wal_replay_pause")) and "; SELECT 1" not in s]
            for statement, code in self.run_all(1, statements).items():
                if code == "00000" and not statement.startswith(self.ACCEPTED):
                    wrong[statement] = code
        self.assertEqual({s for s in wrong if not s.startswith(("LOCK TABLE", "DO ", "EXPLAIN SELECT"))}, set())
        self.assertEqual(self.cluster.sql(1, "SELECT count(*) FROM t"), "3")


class MariaDb(unittest.TestCase):
    SCHEMA = """
        CREATE TABLE t(a int PRIMARY KEY, b text) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 'x'), (2, 'y');
        CREATE TABLE t2(`update` int, `delete` int); CREATE TABLE u(a int, b text); INSERT INTO u VALUES (1, 'u'); CREATE SEQUENCE s; CREATE VIEW v AS SELECT a FROM t"""

    @classmethod
    def setUpClass(cls):
        cls.cluster = mariadb.MariaDB(replicas=1, fsync=False).__enter__()
        cls.cluster.sql(0, cls.SCHEMA)
        cls.cluster.sync()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.destroy()

    def digest(self):
        return self.cluster.sql(0, "SELECT group_concat(a, b ORDER BY a) FROM t; SELECT count(*) FROM u; SELECT * FROM s; SELECT count(*) FROM information_schema.tables")

    def fails(self, node, statement):
        try:
            self.cluster.sql(node, "SET SESSION TRANSACTION READ ONLY; " + statement)
            return None
        except Exception as error:
            return str(error)

    def test_reads_run_in_a_read_only_session_on_a_replica_and_change_nothing(self):
        before = self.digest()
        # PARTITION names one that this table has not.
        reads = [s for s in corpus("mariadb")["read"] if "PARTITION (p0)" not in s]
        self.assertGreater(len(reads), 45)
        self.assertEqual({s: e for s in reads if (e := self.fails(1, s))}, {})
        for statement in reads:
            self.cluster.sql(0, statement)
        self.assertEqual(self.digest(), before)

    def test_a_read_only_session_refuses_what_writes_data(self):
        data = ("INSERT", "UPDATE", "DELETE", "REPLACE", "TRUNCATE", "CREATE", "ALTER", "DROP", "RENAME", "SELECT NEXT", "SELECT nextval", "SELECT setval", "/*", "EXECUTE IMMEDIATE", "ANALYZE UPDATE")
        writes = [s for s in corpus("mariadb")["write"] if s.startswith(data) and " USER" not in s]
        self.assertGreater(len(writes), 25)
        before = self.digest()
        accepted = {s for s in writes if self.fails(1, s) is None}
        self.assertEqual({s for s in accepted if not s.startswith("DROP TABLE IF EXISTS")}, set())
        self.assertEqual(self.digest(), before)


class Sqlite(unittest.TestCase):
    def test_reads_change_nothing_and_run_on_a_read_only_handle(self):
        import sqlite3
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.db")
            db = sqlite3.connect(path)
            db.executescript("CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x'); CREATE TABLE u(a, b); CREATE TABLE z0(a)")
            before = list(db.iterdump())
            reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
            skipped = ("nosuch_column", "MATCH")  # columns and functions that only the offline opinion makes up
            for statement in corpus("sqlite")["read"]:
                if any(word in statement for word in skipped):
                    continue
                for one in statement.rstrip(";").split("; "):
                    reader.execute(one, [1] * one.count("?")).fetchall()
            self.assertEqual(list(db.iterdump()), before)
            reader.close()
            db.close()


if __name__ == "__main__":
    unittest.main()
