"""The corpus of statements on real servers, every row: what is called a read runs on a replica and leaves no trace, in the data or in its
connection; what is not leaves one on a primary, or is refused, or is known by name; what a replica takes of it is known by name too.
tests/handlers/sql/classify/corpus_test.cc holds the gateway's own opinion to the same rows."""

import collections
import contextlib
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import unittest

SOURCE = os.environ["SLUICE_SOURCE"]
sys.path.append(os.path.join(SOURCE, "tests/clusters"))

import mariadb
import postgres
from straight import MariaDbSession, PostgresSession


def corpus(dialect):
    rows = collections.defaultdict(list)
    with open(os.path.join(SOURCE, f"tests/handlers/sql/classify/corpus/{dialect}.tsv")) as f:
        for line in f:
            kind, statement = line.rstrip("\n").split("\t", 1)
            rows[kind].append(statement)
    return rows


def unknown(statements, known):
    """Those that no pattern knows."""
    return [s for s in statements if not any(re.search(pattern, s) for pattern in known)]


class PostgreSql(unittest.TestCase):
    """Each row in a session of its own; `mine` and `dblink` are functions that do not exist there."""

    SCHEMA = """
        CREATE TABLE t(a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z');
        CREATE TABLE u(a int, b text); INSERT INTO u VALUES (1, 'u');
        CREATE SEQUENCE s; CREATE VIEW v AS SELECT a FROM t; CREATE MATERIALIZED VIEW mv AS SELECT a FROM t;
        CREATE PROCEDURE p() LANGUAGE sql AS 'INSERT INTO u VALUES (9)'"""
    TRACES = """SELECT
        transaction_timestamp(), pg_current_xact_id_if_assigned(), pg_my_temp_schema(),
        (SELECT string_agg(t::text, ';' ORDER BY a) FROM t), (SELECT string_agg(u::text, ';' ORDER BY a) FROM u), (SELECT last_value::text || is_called FROM s),
        (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_replication_slots), pg_current_wal_insert_lsn() IS NULL,
        (SELECT md5(string_agg(name || '=' || setting, ';' ORDER BY name)) FROM pg_settings), current_user, session_user,
        (SELECT string_agg(concat_ws(' ', locktype, relation, classid, objid, mode), ';' ORDER BY locktype, relation, objid, mode) FROM pg_locks
          WHERE pid = pg_backend_pid() AND (locktype NOT IN ('relation', 'virtualxid') OR mode <> 'AccessShareLock') AND locktype <> 'virtualxid'),
        (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_listening_channels())"""
    # Reads that lock a table while they are planned.
    PLANNED = ("^EXPLAIN .*(INSERT|UPDATE|DELETE|MERGE)",)
    # What a standby runs although it is no read (or is one, of a kind that only concerns the primary): the classifier alone keeps it away.
    ACCEPTED = ("^SELECT 1 FOR UPDATE", "pg_backend_pid", "pg_(try_)?advisory_xact", "WHERE false$", "query_to_xml", "^SELECT pg_(terminate|cancel)_backend", r"^SELECT \(x\.p\)",
                "last_value", "is_called", "pg_sequences", "pg_cursors|pg_prepared_statements", "pg_my_temp_schema", "pg_listening_channels", "(table|database)_to_xml", "xact_status|txid_status", "^LOCK ", "^DO ",
                "^EXPLAIN (ANALYZE )?REFRESH", "^EXPLAIN SELECT", "MATCHED THEN DO NOTHING")
    TRACELESS = (
        # Of the server, not of the database.
        "^CHECKPOINT", "pg_create_restore_point", "pg_switch_wal", "pg_reload_conf", "pg_stat_reset", "pg_rotate_logfile", "TO PROGRAM", "pg_(terminate|cancel|log)_backend", "pg_nextoid",
        # Done when the transaction ends.
        "NOTIFY|pg_notify|LISTEN", "^SET (LOCAL )?(TRANSACTION|SESSION CHARACTERISTICS)",
        # They only ask, and what they ask is the primary's or the connection's.
        "last_value|is_called|lastval|currval", "pg_current_wal|pg_walfile_name|xact_status|txid_status", "pg_read_|pg_stat_file|pg_ls_|current_logfile", "pg_backend_pid|pg_my_temp_schema|pg_listening", "pg_cursors|pg_prepared_statements",
        "(table|database)_to_xml", "^SELECT 1 FOR UPDATE", "^LOCK TABLE t IN ACCESS SHARE", "^EXPLAIN (ANALYZE )?(REFRESH|DECLARE)",
        # There is nothing to do this time.
        "WHERE false$", "IF EXISTS nosuch", "pg_advisory_unlock", "^(RESET|DEALLOCATE PREPARE ALL|CLOSE ALL|DISCARD)", "ROLE none", "default_transaction_read_only", r"exists\(",
        # SQL does not see it.
        "setseed|SET SEED", "pg_export_snapshot|pg_stat_clear_snapshot|pg_stat_force_next_flush", "^SAVEPOINT", "(BEGIN|START TRANSACTION READ WRITE)$", "SET CONSTRAINTS")

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Postgres(replicas=1, fsync=False).__enter__()
        cls.cluster.sql(0, cls.SCHEMA, user="app")
        cls.cluster.sync()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.destroy()

    def traced(self, statement, user="app"):
        """Within a transaction of the primary that is rolled back: its SQLSTATE, and whether it left a trace."""
        with PostgresSession(self.cluster.node_port(0), user) as session:
            session.run("BEGIN")
            before = session.rows(self.TRACES)
            code = session.run(statement)
            return code, code == "COPY" or session.rows(self.TRACES) != before

    def alone(self, node, statement, user="app"):
        with PostgresSession(self.cluster.node_port(node), user) as session:
            return session.run(statement)

    def test_1_reads_run_on_a_replica_and_leave_no_trace(self):
        reads = corpus("postgresql")["read"]
        self.assertGreater(len(reads), 180)
        self.assertEqual({s: code for s in reads if (code := self.alone(1, s)) != "00000"}, {})
        left = {s: result for s in reads if (result := self.traced(s)) != ("00000", False)}
        self.assertEqual(unknown(left, self.PLANNED), [])

    def test_2_a_replica_refuses_what_is_no_read_or_the_exception_is_known(self):
        rows = corpus("postgresql")
        # The first two would end the test itself: a promotion, and a replica that stands still.
        statements = [s for kind in ("write", "primary", "session") for s in rows[kind] if s not in ("SELECT pg_promote()", "SELECT pg_wal_replay_pause()")]
        accepted = [s for s in statements if self.alone(1, s) in ("00000", "COPY")]
        self.assertEqual(unknown([s for s in accepted if s not in rows["session"]], self.ACCEPTED), [])
        self.assertEqual(self.cluster.sql(1, "SELECT count(*) FROM t"), "3")

    def test_3_what_is_no_read_leaves_a_trace_on_a_primary_or_is_refused(self):
        rows = corpus("postgresql")
        traceless = []
        for statement in rows["session"] + rows["primary"] + rows["write"]:
            if "pg_backup_start" in statement:
                continue  # it waits for a checkpoint that takes its time
            code, trace = self.traced(statement, "postgres")
            if code == "25001":  # it wants no transaction about it
                self.alone(0, statement, "postgres")
            elif code == "00000" and not trace:
                traceless.append(statement)
        self.assertEqual(unknown(traceless, self.TRACELESS), [])
        self.assertEqual(self.cluster.sql(0, "SELECT 1"), "1")


class MariaDb(unittest.TestCase):
    """As the gateway's role, which may do anything with its own database and nothing with the server."""

    SCHEMA = """
        CREATE TABLE t(a int PRIMARY KEY, b text) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1, 'x'), (2, 'y');
        CREATE TABLE t2(`update` int, `delete` int); CREATE TABLE u(a int, b text); INSERT INTO u VALUES (1, 'u'); CREATE SEQUENCE s; CREATE VIEW v AS SELECT a FROM t"""
    DATA = """SELECT (SELECT group_concat(a, b ORDER BY a) FROM t), (SELECT group_concat(a, b ORDER BY a) FROM u), (SELECT concat(next_not_cached_value, increment) FROM s),
        (SELECT group_concat(table_name, create_options, table_type, table_collation ORDER BY table_name) FROM information_schema.tables WHERE table_schema = 'app'),
        (SELECT count(*) FROM information_schema.columns WHERE table_schema = 'app'), (SELECT count(*) FROM information_schema.statistics WHERE table_schema = 'app'),
        (SELECT count(*) FROM information_schema.routines WHERE routine_schema = 'app'), (SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = 'app'),
        (SELECT count(*) FROM information_schema.events WHERE event_schema = 'app'),
        (SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = 'app')"""
    CONNECTION = """SELECT @@autocommit, @@sql_mode, @@character_set_client, @@character_set_results, @@in_transaction, @@tx_isolation, @@tx_read_only, @a, @x, @y, @n, @`a b`,
        last_insert_id(), is_used_lock('a'), database()"""
    REFUSED_BY_THE_TABLE = ("PARTITION \\(p0\\)",)  # this table has none
    # What such a session runs on a replica although it is no read: the classifier alone keeps it away.
    ACCEPTED = (
        # They only ask, and what they ask is one server's or the connection's.
        "(?i)last_?val|last_insert_id|found_rows|row_count|connection_id|uuid_short|load_file|is_(free|used)_lock|(master|binlog)_.*(pos|wait)|PREVIOUS VALUE|^SELECT @", "^SHOW ", "^HELP ",
        # Locks of rows end with the statement.
        "LOCK.*IN.*SHARE", "PROCEDURE ANALYSE", "^EXPLAIN SELECT mine", "^SELECT `get_lock`",
        # Of the server's tables of statistics and caches, or nothing to do.
        "^(ANALYZE|CHECK|CHECKSUM|LOAD INDEX)", "^(KILL USER x|START ALL SLAVES|WHILE 0)", "^BACKUP LOCK", "^DO sleep", "^SET STATEMENT .* FOR SELECT",
        # By the default sql_mode they are one string.
        r"\\['\"]; DELETE")
    TRACELESS = ACCEPTED + (
        # There is nothing to do this time.
        "(?i)release_(all_)?lock|^UNLOCK|^XA RECOVER|^USE app|utf8mb4$|ROLE NONE|^(GET|COMMIT AND CHAIN)", "(?i)^(BEGIN( WORK)?|START TRANSACTION.*|SAVEPOINT a)$", r"@[na] \+ 1",
        "^(EXPLAIN|DESCRIBE)", "^(INSERT IGNORE|REPLACE INTO t)", "^INSERT INTO t SET", "^DELETE HISTORY", "setval\\(s, 5",
        # SQL does not see it.
        "^(PREPARE|HANDLER)", "^CREATE.* TEMPORARY", "FOR UPDATE", "^SET (timestamp|insert_id)")

    @classmethod
    def setUpClass(cls):
        cls.cluster = mariadb.MariaDB(replicas=1, fsync=False).__enter__()
        cls.cluster.sql(0, cls.SCHEMA)
        cls.cluster.sync()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.destroy()

    def data(self):
        with MariaDbSession(self.cluster.node_port(0), "root") as session:
            return session.rows(self.DATA)

    def traced(self, statement):
        """Within a transaction on the primary, which ends with the connection: its error, and whether it left a trace."""
        with MariaDbSession(self.cluster.node_port(0)) as session:
            session.run("START TRANSACTION")
            look = lambda: (session.rows(self.DATA), session.rows(self.CONNECTION))
            before = look()
            code = session.run(statement)
            return code, look() != before

    def read_only(self, statement):
        with MariaDbSession(self.cluster.node_port(1)) as session:
            session.run("SET SESSION TRANSACTION READ ONLY")
            return session.run(statement)

    def test_1_reads_run_in_a_read_only_session_on_a_replica_and_leave_no_trace(self):
        before = self.data()
        reads = unknown(corpus("mariadb")["read"], self.REFUSED_BY_THE_TABLE)
        self.assertGreater(len(reads), 85)
        self.assertEqual({s: code for s in reads if (code := self.read_only(s))}, {})
        self.assertEqual({s: result for s in reads if (result := self.traced(s)) != (0, False)}, {})
        self.assertEqual(self.data(), before)

    def test_2_a_read_only_session_refuses_what_is_no_read_or_the_exception_is_known(self):
        rows = corpus("mariadb")
        before = self.data()
        accepted = [s for s in rows["write"] + rows["primary"] if not self.read_only(s)]
        self.assertEqual(unknown(accepted, self.ACCEPTED), [])
        for statement in rows["session"]:
            self.read_only(statement)
        self.assertEqual(self.cluster.sql(1, "SELECT group_concat(a, b ORDER BY a) FROM t"), "1x,2y")
        self.assertEqual(self.data(), before)

    def test_3_what_is_no_read_leaves_a_trace_on_a_primary_or_is_refused(self):
        rows = corpus("mariadb")
        before = self.data()
        traceless = []
        for statement in rows["session"] + rows["primary"] + rows["write"]:
            code, trace = self.traced(statement)
            if not code and not trace:
                traceless.append(statement)
            if self.data() != before:  # what it did was not undone with its transaction
                self.cluster.sql(0, "DROP DATABASE IF EXISTS z55; DROP DATABASE app; CREATE DATABASE app; USE app; " + self.SCHEMA, database=None)
        self.assertEqual(unknown(traceless, self.TRACELESS), [])
        self.assertEqual(self.data(), before)


def parts(text):
    """The statements of a text: Python's module runs one at a time."""
    one = ""
    for piece in text.split(";"):
        one += piece + ";"
        if sqlite3.complete_statement(one):
            yield one
            one = ""
    if one.strip("; "):
        yield one.removesuffix(";")


class Sqlite(unittest.TestCase):
    SCHEMA = """CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x'); CREATE TABLE u(a, b); CREATE TABLE z0(a);
        CREATE VIRTUAL TABLE f USING fts4(x); INSERT INTO f VALUES ('x'); INSERT INTO f VALUES ('y')"""
    PRAGMAS = ("synchronous", "query_only", "writable_schema", "journal_mode", "locking_mode", "foreign_keys", "user_version", "application_id", "auto_vacuum", "cache_size",
               "busy_timeout", "recursive_triggers", "schema_version", "temp_store", "database_list")
    MADE_UP = ("nosuch_column", "MATCH")  # columns and functions that only the offline opinion makes up
    TRACELESS = (
        # They tell of the connection.
        "(?i)changes|last_insert_rowid",
        # There is nothing to do this time.
        "IF (NOT )?EXISTS", "ON CONFLICT DO NOTHING", "AND 0$", "^UPDATE t SET b = ('x' WHERE|1 FROM)", "^REINDEX", "nosuch", "query_only = 0|foreign_keys. = 0", "journal_mode ?= ?DELETE",
        "wal_checkpoint|incremental_vacuum|(PRAGMA |pragma_)optimize", "RELEASE a", "^EXPLAIN",
        # SQL does not see it, or not before the file is made anew.
        "sqlite_log", "PRAGMA (journal_size_limit|wal_autocheckpoint|shrink_memory|mmap_size|case_sensitive_like|ignore_check_constraints|trusted_schema|legacy_alter_table|page_size"
        "|encoding|secure_delete|read_uncommitted|data_version|auto_vacuum|defer_foreign_keys|cell_size_check|threads|writable_schema = RESET|cache_spill|automatic_index"
        "|reverse_unordered|analysis_limit|(checkpoint_)?fullfsync|max_page_count|empty_result|full_column)", "integrity-check")

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.enterContext(contextlib.chdir(self.folder.name))  # ATTACH 'x' makes its file where we stand
        self.path, self.made = os.path.join(self.folder.name, "x.db"), os.path.join(self.folder.name, "made.db")
        db = sqlite3.connect(self.made)
        db.executescript(self.SCHEMA)
        db.close()

    def fresh(self):
        """A handle of a file that was only just made; a first look at it has made its temporary database."""
        shutil.copyfile(self.made, self.path)
        db = sqlite3.connect(self.path, isolation_level=None)
        self.look(db)
        return db

    def look(self, db):
        with open(self.path, "rb") as file:
            content = file.read()
        return (content, db.in_transaction, [db.execute(f"PRAGMA {name}").fetchall() for name in self.PRAGMAS], db.execute("SELECT count(*) FROM temp.sqlite_schema").fetchall())

    def test_reads_run_on_a_read_only_handle_and_leave_no_trace(self):
        self.fresh().close()
        reader = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, isolation_level=None)
        self.look(reader)  # makes the temporary database
        before = self.look(reader)
        for statement in unknown(corpus("sqlite")["read"], self.MADE_UP):
            for one in parts(statement):
                reader.execute(one, [1] * one.count("?")).fetchall()
            self.assertEqual(self.look(reader), before, statement)
        reader.close()

    def test_what_is_no_read_leaves_a_trace_or_is_refused(self):
        rows = corpus("sqlite")
        traceless = []
        for statement in rows["session"] + rows["primary"] + rows["write"]:
            if "hard_heap_limit" in statement:
                continue  # of the process: the test would be out of memory
            db = self.fresh()
            before = self.look(db)
            try:
                for one in parts(statement):
                    db.execute(one).fetchall()
                if self.look(db) == before:
                    traceless.append(statement)
            except (sqlite3.Error, sqlite3.Warning):
                pass
            db.close()
        self.assertEqual(unknown(traceless, self.TRACELESS), [])


if __name__ == "__main__":
    unittest.main()
