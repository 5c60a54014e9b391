"""Roles on real servers: who may only read changes nothing, also by functions that look harmless, on a primary, by cursors and by streams;
and what is one caller's is not another's."""

import os
import subprocess
import sys
import tempfile
import time
import unittest
import xmlrpc.client

sys.path += [os.path.join(os.environ["SLUICE_SOURCE"], folder) for folder in ("tests/clusters", "examples/1_hello")]

import mariadb
import postgres
from gateway import SLUICE, Gateway, wait_for
from zerorpc_client import Client, RemoteError

DENIED = -32003

CONFIG = """
[access]
users = "{folder}/users"
anonymous = ["reader"]
[role.reader]
methods = ["sql.*"]
statements = "read"
[role.all]
methods = ["*"]
statements = "write"
"""


class Reads:
    """What holds for each database; the class of one says how it is made and what it would write by."""

    prepare = ()  # what `writes` needs
    writes = ()   # statements that are none of a reader's
    look_like_reads = ()  # those of them that only a server finds out

    @classmethod
    def begin(cls, data):
        cls.folder = tempfile.TemporaryDirectory(prefix="sluice-readers-")
        cls.addClassCleanup(cls.folder.cleanup)
        tokens = [subprocess.run([SLUICE, "user", "add", user, "--role", "all", "--token", "--users", f"{cls.folder.name}/users"],
                                 capture_output=True, text=True, timeout=60).stdout.strip() for user in ("all", "other")]
        cls.data = data or f"{cls.folder.name}/test.db"
        with Gateway(data=cls.data) as before, xmlrpc.client.ServerProxy(before.url) as owner:
            for statement in ("CREATE TABLE kept(n INTEGER)", *cls.prepare):
                owner.sql.execute(statement)
        cls.gateway = Gateway(data=cls.data, config=CONFIG.format(folder=cls.folder.name))
        cls.addClassCleanup(cls.gateway.stop)
        cls.owner, cls.other = (xmlrpc.client.ServerProxy(cls.gateway.url, headers=[("Authorization", "Bearer " + token)]) for token in tokens)
        cls.reader = xmlrpc.client.ServerProxy(cls.gateway.url)
        cls.token = cls.owner.sql.execute("INSERT INTO kept VALUES (1), (2), (3)")["token"]
        # Functions are learned when a gateway has found its primary.
        for statement in cls.look_like_reads:
            wait_for(lambda: cls.owner.sql.explain(statement)["class"] == "read", f"{statement} to be taken for a read")
        for proxy in (cls.owner, cls.other, cls.reader):
            cls.addClassCleanup(proxy("close"))

    def tearDown(self):
        self.owner.sql.split(True)
        self.assertEqual(self.owner.sql.query("SELECT count(*) FROM kept", [], {"level": "primary"})["rows"], [[3]])

    def denied(self, call, *args):
        fault = self.fault(call, *args)
        self.assertEqual(fault.faultCode, DENIED, fault.faultString)
        self.assertIn("may only read", fault.faultString)

    def every_write_is_denied(self, options):
        for statement in self.writes:
            with self.subTest(statement=statement, options=options):
                self.denied(self.reader.sql.query, statement, [], options)
                self.denied(self.reader.sql.query, statement, [], options)  # also when it is known to have been refused

    def test_nothing_is_written_at_any_level(self):
        for options in ({}, {"level": "primary"}, {"level": "latest"}, {"after": self.token}, {"max_lag_ms": 1000}):
            self.every_write_is_denied(options)

    def test_nothing_is_written_while_reads_stay_on_the_primary(self):
        for share in (False, "shadow"):
            self.owner.sql.split(share)
            self.every_write_is_denied({})

    def test_nothing_is_written_by_a_cursor_or_a_stream(self):
        for statement in self.writes:
            with self.subTest(statement=statement):
                self.denied(lambda: self.reader.sql.fetch(self.reader.sql.open(statement)))
                self.denied(self.reader.sql.stream, statement)
                with Client(self.gateway.endpoint) as zerorpc, self.assertRaises(RemoteError) as caught:
                    list(zerorpc.stream("sql.stream", statement))
                self.assertEqual(caught.exception.name, "PermissionError")

    def test_who_may_write_is_not_held_up(self):
        for statement in self.writes:
            with self.subTest(statement=statement):
                self.owner.sql.query(statement)
        self.owner.sql.batch(["DELETE FROM kept", "INSERT INTO kept VALUES (1), (2), (3)"])

    def fault(self, call, *args):
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            call(*args)
        return caught.exception

    def test_a_key_is_its_callers_own(self):
        insert, key = "INSERT INTO kept VALUES (?)", {"key": f"order {time.monotonic_ns()}"}
        for _ in range(2):
            self.assertEqual(self.owner.sql.execute(insert, [4], key)["affected"], 1)
        # Neither does it hold up another, nor does he get its reply: also with the same statement.
        self.assertEqual(self.other.sql.execute("UPDATE kept SET n = 5 WHERE n = 4", [], key)["affected"], 1)
        self.assertIn("was used before", self.fault(self.other.sql.execute, insert, [4], key).faultString)
        key["key"] += " again"
        for caller in (self.owner, self.other, self.owner, self.other):
            self.assertEqual(caller.sql.execute(insert, [6], key)["affected"], 1)
        self.assertEqual(self.owner.sql.execute("DELETE FROM kept WHERE n > 3")["affected"], 3)

    def test_a_transaction_and_a_cursor_are_their_callers_own(self):
        tx = self.owner.sql.begin()
        self.owner.sql.execute("INSERT INTO kept VALUES (4)", [], {"tx": tx})
        unknown = "0" * len(tx)
        for call in (self.other.sql.commit, self.other.sql.rollback, lambda tx: self.other.sql.query("SELECT 1", [], {"tx": tx}),
                     lambda tx: self.other.sql.execute("DELETE FROM kept", [], {"tx": tx}), self.reader.sql.rollback):
            theirs, nobodys = self.fault(call, tx), self.fault(call, unknown)
            self.assertEqual((theirs.faultCode, theirs.faultString.replace(tx, unknown)), (nobodys.faultCode, nobodys.faultString))
        self.owner.sql.rollback(tx)
        self.assertEqual(self.fault(self.other.sql.commit, tx).faultString.replace(tx, unknown), self.fault(self.other.sql.commit, unknown).faultString)

        cursor = self.owner.sql.open("SELECT n FROM kept ORDER BY n", [], {"after": self.token})
        unknown = "0" * len(cursor)
        theirs, nobodys = self.fault(self.other.sql.fetch, cursor), self.fault(self.other.sql.fetch, unknown)
        self.assertEqual((theirs.faultCode, theirs.faultString.replace(cursor, unknown)), (nobodys.faultCode, nobodys.faultString))
        self.assertFalse(self.other.sql.close(cursor))
        self.assertEqual(self.owner.sql.fetch(cursor, 2)["rows"], [[1], [2]])
        self.assertTrue(self.owner.sql.close(cursor))

    def test_reads_go_on_everywhere(self):
        rows = [[1], [2], [3]]
        select = "SELECT n FROM kept ORDER BY n"
        for options in ({"level": "primary"}, {"level": "latest"}, {"after": self.token}, {"max_lag_ms": 10000, "after": self.token}):
            with self.subTest(options=options):
                self.assertEqual(self.reader.sql.query(select, [], options)["rows"], rows)
                self.assertEqual(self.reader.sql.stream(select, [], options), rows)
                self.assertEqual(self.reader.sql.fetch(self.reader.sql.open(select, [], options))["rows"], rows)
        self.owner.sql.split(False)
        self.assertEqual(self.reader.sql.query(select)["rows"], rows)
        self.assertEqual(self.reader.sql.stream(select), rows)


class Postgres(Reads, unittest.TestCase):
    prepare = (
        "CREATE FUNCTION wipe() RETURNS bigint LANGUAGE sql AS 'DELETE FROM kept; SELECT 1::bigint'",
        # Calls itself harmless, and is taken for a read: what it calls stands nowhere in its body.
        "CREATE FUNCTION sly() RETURNS bigint LANGUAGE plpgsql STABLE AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT wi'' || ''pe()'' INTO n; RETURN n; END'",
        "CREATE SEQUENCE numbers",
    )
    writes = ("SELECT wipe()", "SELECT sly()", "SELECT n FROM kept FOR UPDATE", "SELECT nextval('numbers')", "SELECT pg_advisory_xact_lock(7)")
    look_like_reads = ("SELECT sly()",)

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres(replicas=1, fsync=False).__enter__()
        cls.addClassCleanup(cluster.destroy)
        cls.begin(cluster.url())

    def test_what_a_replica_cannot_do_is_asked_of_the_primary(self):
        # A hot standby has no such isolation: it refuses every statement, and none of them is a write.
        self.owner.sql.execute("ALTER DATABASE app SET default_transaction_isolation = 'serializable'")
        try:
            with Gateway(data=self.data, config=CONFIG.format(folder=self.folder.name)) as other:
                server = xmlrpc.client.ServerProxy(other.url)
                self.addCleanup(server("close"))
                for _ in range(2):
                    self.assertEqual(server.sql.query("SELECT n FROM kept ORDER BY n", [], {"after": self.token})["rows"], [[1], [2], [3]])
                self.denied(server.sql.query, "SELECT sly()")
        finally:
            self.owner.sql.execute("ALTER DATABASE app RESET default_transaction_isolation")


class MariaDB(Reads, unittest.TestCase):
    prepare = (
        # Its name is a word of the grammar's: the statement looks like a read.
        "CREATE FUNCTION columns(i INT) RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM kept; RETURN i; END",
        "CREATE FUNCTION wipe() RETURNS INT MODIFIES SQL DATA BEGIN DELETE FROM kept; RETURN 1; END",
        "CREATE SEQUENCE numbers",
    )
    writes = ("SELECT columns(5)", "SELECT wipe()", "SELECT n FROM kept FOR UPDATE", "SELECT NEXTVAL(numbers)")

    @classmethod
    def setUpClass(cls):
        cluster = mariadb.MariaDB(replicas=1, fsync=False)
        cls.addClassCleanup(cluster.destroy)
        cluster.up()
        cls.begin(cluster.url())


class SQLite(Reads, unittest.TestCase):
    prepare = ("CREATE VIRTUAL TABLE f USING fts4(word)", "INSERT INTO f VALUES ('one')", "INSERT INTO f VALUES ('two')")
    writes = ("SELECT optimize(f) FROM f LIMIT 1", "DELETE FROM kept RETURNING n", "SELECT changes()")

    @classmethod
    def setUpClass(cls):
        cls.begin(None)


if __name__ == "__main__":
    del Reads  # only its heirs are tests
    unittest.main()
