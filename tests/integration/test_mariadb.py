"""sql.* over a real MariaDB cluster: what it shares with other engines, and what is its own."""

import contextlib
import tempfile
import unittest

import cluster_cases
from cases import adopt, run_suite
from cluster_cases import Hangs, Pairs, PutBack, Users, setUpModule  # noqa: F401
from gateway import Gateway, proxy
from mariadb import MariaDB


class MariaDb(cluster_cases.Engine):
    cluster = MariaDB
    dialect = "mariadb"
    version, position = r"^1\d\.\d+\.\d+-MariaDB", r"^s1\.\.0-\d+-\d+\."
    no_such_table = "Table 'app.nosuch' doesn't exist (error 1146, SQLSTATE 42S02)"
    duplicate_key = "error 1062, SQLSTATE 23000"
    two_statements = "error 1064"
    deadlock = "error 1213"
    too_many_parameters = "error 1390"
    fails_at_zero = "SELECT IF(? = 0, (SELECT 1 UNION SELECT 2), 1)", "more than 1 row"
    kinds = {
        "b": ("boolean", 1), "i2": ("smallint", -3), "i4": ("int", 5), "i8": ("bigint", 2**31 - 1), "f": ("double", 0.1), "f4": ("float", 0.1), "n": ("decimal(40, 1)", "123456789012345678901234567890.5"),
        "u8": ("bigint unsigned", "18446744073709551615"), "b5": ("bit(5)", 19), "t": ("text", "Ærøskøbing 🦭 'quoted' \\ ?"), "y": ("varbinary(300)", bytes(range(256))), "d": ("date", "2026-02-28"),
        "h": ("time", "12:30:00"), "j": ("json", '{"a": [1, null]}'), "u": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "x": ("text", None),
    }
    instant = "datetime"
    long = "/*" + "x" * 1_100_000 + "*/"
    taking_over = {f"SET autocommit = 0 {long}": None, f"BEGIN {long}": "left a transaction open, which was rolled back", f"SET sql_mode = 'ORACLE' {long}": None}
    setting = "SELECT @@autocommit", 1
    slow_to_scan = {"/*" * 100_000 + "*/" * 100_000 + " SELECT 1": "primary", "SELECT 1 " + "+" * 100_000 + " 1": "read", "SELECT " + "(" * 100_000 + "1" + ")" * 100_000: "read"}
    endless = "SELECT seq FROM seq_1_to_1000000"
    lag_ms = 1000  # it knows whole seconds

    def numbers(self, count):
        return f"SELECT seq AS n, REPEAT('x', 100) AS filling FROM seq_1_to_{count}"

    @contextlib.contextmanager
    def statements_logged(self, cluster):
        said = lambda on: [cluster.sql(n, f"SET GLOBAL general_log = {on}", database=None) for n in range(cluster.nodes)]
        said(1)
        try:
            yield lambda node: (cluster.node_folder(node) / "general.log").read_text()
        finally:
            said(0)


cluster_cases.engine = MariaDb()


class Links(unittest.TestCase):
    def test_links_on_a_real_server(self):
        with MariaDB(replicas=0, fsync=False) as server:
            run_suite("sql_mariadb_suite", SLUICE_MARIADB_PORT=str(server.node_port(0)), SLUICE_MARIADB_PID=str(server.pid(0)))


class Statements(cluster_cases.Statements):
    def test_nothing_writes_on_a_replica(self):
        # A procedure of a privileged definer may write although the server is read_only; a view and a function hide what they do.
        for text in ("CREATE OR REPLACE TABLE written (a INT AUTO_INCREMENT PRIMARY KEY)", "CREATE OR REPLACE SEQUENCE hidden",
                     "CREATE OR REPLACE DEFINER=root@localhost PROCEDURE sneaky_call() SQL SECURITY DEFINER INSERT INTO written VALUES ()",
                     "CREATE OR REPLACE DEFINER=root@localhost FUNCTION sneaky_function() RETURNS INT SQL SECURITY DEFINER BEGIN INSERT INTO written VALUES (); RETURN 1; END",
                     "CREATE OR REPLACE DEFINER=root@localhost SQL SECURITY DEFINER VIEW sneaky_view AS SELECT sneaky_function() AS n",
                     "CREATE OR REPLACE DEFINER=root@localhost SQL SECURITY DEFINER VIEW sneaky_sequence AS SELECT NEXTVAL(hidden) AS n"):
            self.cluster.sql(self.cluster.primary, "DELIMITER $$\n" + text)  # the client would cut it at its semicolons
        self.cluster.sync()
        for i, statement in enumerate(("CALL sneaky_call()", "SELECT sneaky_function()", "SELECT n FROM sneaky_view", "SELECT n FROM sneaky_view")):
            answer = self.sql.query(statement)
            self.assertEqual(answer["route"]["role"], "primary", answer)
            self.assertEqual(self.sql.query("SELECT COUNT(*) FROM written", [], {"level": "primary"})["rows"], [[i + 1]])
        self.assertRegex(self.sql.query("SELECT n FROM sneaky_view")["route"]["why"], "would not run it as a read|reads a view that calls a function")
        self.assertEqual([self.sql.query("SELECT n FROM sneaky_sequence")["rows"] for _ in range(3)], [[[1]], [[2]], [[3]]])
        self.cluster.sync()
        self.assertEqual({self.cluster.sql(node, "SELECT COUNT(*) FROM written") for node in range(3)}, {"5"})
        self.all_up()

    def test_what_commits_by_itself_runs_alone(self):
        tx = self.sql.begin()
        for call in (lambda text: self.sql.execute(text, [], {"key": text}), lambda text: self.sql.execute(text, [], {"fence": {"lock": "l", "token": 1}}),
                     lambda text: self.sql.execute(text, [], {"tx": tx}), lambda text: self.sql.batch([["INSERT INTO event VALUES ('committed', 1)"], [text]])):
            for text in ("CREATE TABLE too_many (id INT)", "ALTER TABLE event ADD too_many INT", "/*! TRUNCATE TABLE event */", "ANALYZE TABLE event", "GRANT SELECT ON event TO root@localhost"):
                self.fault("commits by itself", call, text)
        self.sql.rollback(tx)
        self.assertEqual(self.sql.query("SELECT id FROM event WHERE id = 'committed'", [], {"level": "latest"})["rows"], [])

    def test_columns_have_the_names_of_now(self):
        names = lambda text: self.sql.query(text, [], {"level": "primary"})["columns"]
        self.sql.execute("CREATE OR REPLACE TABLE account (id INT, paid INT, due INT)")
        self.sql.execute("CREATE OR REPLACE VIEW owed AS SELECT id, due FROM account")
        returning = lambda: self.sql.execute("INSERT INTO account VALUES (1, 100, 5) RETURNING *")["columns"]
        self.assertEqual([names("SELECT * FROM account"), names("SELECT * FROM owed"), returning()], [["id", "paid", "due"], ["id", "due"], ["id", "paid", "due"]])
        self.sql.execute("ALTER TABLE account MODIFY due INT AFTER id")
        self.sql.execute("CREATE OR REPLACE VIEW owed AS SELECT id, paid FROM account")
        self.assertEqual([names("SELECT * FROM account"), names("SELECT * FROM owed"), returning()], [["id", "due", "paid"], ["id", "paid"], ["id", "due", "paid"]])
        self.sql.execute("ALTER TABLE account RENAME COLUMN paid TO settled")
        self.assertEqual([names("SELECT * FROM account"), returning()], [["id", "due", "settled"]] * 2)
        self.sql.execute("DROP VIEW owed")
        self.sql.execute("DROP TABLE account")

    def test_a_procedure_that_commits_is_told_of_where_it_may_not(self):
        self.cluster.sql(self.cluster.primary, "DELIMITER $$\nCREATE OR REPLACE PROCEDURE commits(name VARCHAR(99)) BEGIN INSERT INTO event VALUES (name, 1); COMMIT; END")
        self.cluster.sync()
        self.sql.execute("CALL commits('alone')")
        self.fault("ended the transaction", self.sql.batch, [["CALL commits('in a batch')"], ["INSERT INTO event VALUES ('after it', 1)"]])
        self.fault("ended the transaction", self.sql.execute, "CALL commits('under a key')", [], {"key": "commits"})
        self.fault("ended its own transaction before its reply was kept", self.sql.execute, "CALL commits('under a key')", [], {"key": "commits"})
        tx = self.sql.begin()
        self.fault("ended the transaction", self.sql.execute, "CALL commits('in a transaction')", [], {"tx": tx})
        self.fault("takes only sql.rollback", self.sql.execute, "INSERT INTO event VALUES ('after it', 1)", [], {"tx": tx})
        self.sql.rollback(tx)
        self.assertEqual(self.sql.query("SELECT COUNT(*) FROM event WHERE id = 'after it'", [], {"level": "latest"})["rows"], [[0]])
        self.sql.execute("DELETE FROM event WHERE id IN ('alone', 'in a batch', 'under a key', 'in a transaction')")

    def test_the_password_may_stand_in_a_file(self):
        self.cluster.sql(self.cluster.primary, "CREATE USER guarded@127.0.0.1 IDENTIFIED BY 'p ss%41word'; GRANT ALL ON app.* TO guarded@127.0.0.1")
        self.cluster.sync()
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("p ss%41word\nnot this\n")
            file.flush()
            with Gateway(data=f"{self.cluster.url(user='guarded')}?password_file={file.name}") as gateway, proxy(gateway) as g:
                self.assertRegex(g.sql.query("SELECT current_user()")["rows"][0][0], "^guarded@")

    def test_a_statement_that_fails_in_a_transaction_is_undone_alone(self):
        tx = self.sql.begin()
        insert = ["INSERT INTO event VALUES ('tx twice', 1)", [], {"tx": tx}]
        self.sql.execute(*insert)
        self.fault("error 1062", self.sql.execute, *insert)
        self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'tx twice'", [], {"tx": tx})["rows"], [[1]])
        token = self.sql.commit(tx)["token"]
        self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'tx twice'", [], {"after": token})["rows"], [[1]])


adopt(__name__)
if __name__ == "__main__":
    unittest.main()
