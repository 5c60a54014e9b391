"""sql.* over a real PostgreSQL cluster, through two gateways and both transports: nobody reads less than was written, whatever breaks."""

import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

sys.path += [os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"), os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello")]

import postgres
import zerorpc_client
from gateway import SLUICE, Gateway, proxy, wait_for


class OverZerorpc:
    """The sql methods of a gateway by zerorpc, shaped like a ServerProxy."""

    def __init__(self, gateway):
        self.client = zerorpc_client.Client(gateway.endpoint)

    @property
    def sql(self):
        return self

    def __getattr__(self, name):
        return lambda *args: self.client("sql." + name, *args)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()


def setUpModule():
    global cluster, gateways
    cluster = postgres.Postgres(fsync=False)
    cluster.__enter__()
    gateways = [Gateway(data=cluster.url()) for _ in range(2)]
    with proxy(gateways[0]) as g:
        g.sql.execute("CREATE TABLE pair(id bigint PRIMARY KEY, n int NOT NULL)")
        g.sql.execute("CREATE TABLE event(id text PRIMARY KEY, round int)")


def tearDownModule():
    for gateway in gateways:
        gateway.stop()
    cluster.destroy()


class ClusterCase(unittest.TestCase):
    def setUp(self):
        self.g = proxy(gateways[0])
        self.sql = self.g.sql
        self.addCleanup(self.g("close"))

    def fault(self, words, call, *args):
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            call(*args)
        self.assertIn(words, caught.exception.faultString)
        return caught.exception

    def nodes(self, gateway=None):
        with proxy(gateway or gateways[0]) as g:
            return g.sql.topology()["nodes"]

    def all_up(self):
        try:
            wait_for(lambda: all(n["state"] in ("up", "trial") and n["lag_ms"] < 100 for gateway in gateways for n in self.nodes(gateway)), "all nodes to be up again")
        except AssertionError as error:
            raise AssertionError(f"{error}: {[self.nodes(g) for g in gateways]}") from None


class Statements(ClusterCase):
    def test_a_read_goes_to_a_replica_and_a_write_to_the_primary(self):
        write = self.sql.execute("INSERT INTO event VALUES (?, 0)", ["first"])
        self.assertEqual((write["route"]["role"], write["route"]["class"], write["affected"]), ("primary", "write", 1))
        read = self.sql.query("SELECT id FROM event WHERE id = $1", ["first"], {"after": write["token"]})
        self.assertEqual(read["rows"], [["first"]])
        self.assertEqual((read["route"]["role"], read["route"]["class"]), ("replica", "read"))

    def test_every_common_type_travels_both_ways(self):
        columns = {
            "b": ("boolean", True), "i2": ("smallint", -3), "i4": ("int", 5), "i8": ("bigint", 2**31 - 1), "f": ("double precision", 0.1), "n": ("numeric", "123456789012345678901234567890.5"),
            "t": ("text", "Ærøskøbing 🦭 'quoted' \\ ?"), "y": ("bytea", bytes(range(256))), "d": ("date", "2026-02-28"), "j": ("jsonb", '{"a": [1, null]}'),
            "u": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "a": ("int[]", [1, None, 3]), "ta": ("text[]", ["a,b", 'c"d', None, ""]), "x": ("text", None),
        }
        self.sql.execute("CREATE TABLE IF NOT EXISTS kinds(" + ", ".join(f"{name} {kind}" for name, (kind, _) in columns.items()) + ", at timestamptz)")
        values = [value for _, value in columns.values()]
        w = self.sql.execute(f"INSERT INTO kinds VALUES ({', '.join('?' * (len(values) + 1))})", [*values, xmlrpc.client.DateTime("20260131T12:00:00")])
        row = self.sql.query("SELECT * FROM kinds", [], {"after": w["token"]})["rows"][0]
        self.assertEqual(row[:-1], values)
        self.assertEqual(row[-1].isoformat(), "2026-01-31T12:00:00")

    def test_faults_name_what_is_wrong(self):
        self.fault('relation "nosuch" does not exist', self.sql.query, "SELECT * FROM nosuch")
        self.fault("SQLSTATE 23505", self.sql.batch, [["INSERT INTO event VALUES ('twice', 0)"], ["INSERT INTO event VALUES ('twice', 0)"]])
        self.assertEqual(self.sql.query("SELECT count(*) FROM event WHERE id = 'twice'", [], {"level": "primary"})["rows"], [[0]])
        self.fault("which other callers share", self.sql.query, "SET search_path = x")
        self.fault("2 parameters, but 1 were given", self.sql.query, "SELECT ?, ?", [1])
        self.fault("cannot insert multiple commands", self.sql.query, "SELECT 1; SELECT 2")
        self.fault("signed by a gateway", self.sql.query, "SELECT 1", [], {"after": "s1.1.0-1-1.000000000000000000000000"})

    def test_one_that_fails_takes_no_neighbour_along(self):
        good, bad = [], []

        def call(i):
            with zerorpc_client.Client(gateways[0].endpoint) as mine:
                for _ in range(30):
                    try:
                        good.append(mine("sql.query", "SELECT 1 / ?::int", [0 if i % 4 == 0 else 1])["rows"])
                    except zerorpc_client.RemoteError as error:
                        bad.append(str(error))

        threads = [threading.Thread(target=call, args=[i]) for i in range(8)]
        [t.start() for t in threads], [t.join() for t in threads]
        self.assertEqual((good, len(bad)), ([[[1]]] * 180, 60))
        self.assertTrue(all("division by zero" in b for b in bad))

    def test_what_a_replica_refuses_runs_on_the_primary_and_is_remembered(self):
        self.sql.execute("CREATE SEQUENCE IF NOT EXISTS concealed")
        self.sql.execute("CREATE OR REPLACE FUNCTION liar() RETURNS bigint STABLE LANGUAGE plpgsql AS "
                         "$$ DECLARE n bigint; BEGIN EXECUTE 'SELECT next' || 'val(''concealed'')' INTO n; RETURN n; END $$")
        cluster.sync()
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
            cluster.sync()
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

    def test_a_transaction_is_one_connection_until_it_ends(self):
        tx = self.sql.begin()
        self.sql.execute("INSERT INTO event VALUES ('tx', 1)", [], {"tx": tx})
        self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'tx'", [], {"tx": tx})["rows"], [[1]])
        self.assertEqual(self.sql.query("SELECT 1 FROM event WHERE id = 'tx'", [], {"level": "latest"})["rows"], [])
        committed = self.sql.commit(tx)
        self.assertEqual(committed["route"]["role"], "primary")
        token = committed["token"]
        self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'tx'", [], {"after": token})["rows"], [[1]])
        self.fault("no open transaction", self.sql.commit, tx)
        tx = self.sql.begin({"timeout_ms": 200})
        self.sql.execute("DELETE FROM event WHERE id = 'tx'", [], {"tx": tx})
        wait_for(lambda: self.sql.topology()["transactions"] == 0, "the transaction to be rolled back")
        self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'tx'", [], {"level": "latest"})["rows"], [[1]])

    def test_nothing_within_a_batch_commits(self):
        cluster.sql(0, "CREATE OR REPLACE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO event VALUES ('committed', 1); COMMIT; END $$")
        self.sql.execute("CALL commits()")
        self.sql.execute("DELETE FROM event WHERE id = 'committed'")
        insert = ["INSERT INTO event VALUES ('batch', 1)"]
        for statement in ("CALL commits()", "DO $$ BEGIN COMMIT; END $$"):
            self.fault("invalid transaction termination", self.sql.batch, [insert, [statement]])
            self.fault("invalid transaction termination", self.sql.batch, [[statement], insert])
        for statement in ("VACUUM event", "CREATE INDEX CONCURRENTLY too_many ON event (round)"):
            self.fault("cannot run inside a transaction block", self.sql.batch, [[statement], insert])
        self.assertEqual(self.sql.query("SELECT id FROM event WHERE id IN ('batch', 'committed')", [], {"level": "latest"})["rows"], [])
        answer = self.sql.batch([["CREATE TABLE made_here(id int)"], ["INSERT INTO made_here VALUES (7) RETURNING id"], ["DROP TABLE made_here"], ["DO 'BEGIN END'"]])
        self.assertEqual((len(answer["results"]), answer["results"][1]["rows"], answer["route"]["role"]), (4, [[7]], "primary"))
        self.assertTrue(answer["token"])

    def test_a_failed_transaction_is_not_committed(self):
        tx = self.sql.begin()
        self.fault("does not exist", self.sql.execute, "INSERT INTO nosuch VALUES (1)", [], {"tx": tx})
        self.fault("takes only sql.rollback", self.sql.query, "SELECT 1", [], {"tx": tx})
        self.fault("was rolled back", self.sql.commit, tx)

    def test_cursors_and_streams_give_their_connections_back(self):
        statement = "SELECT n, repeat('x', 100) FROM generate_series(1, 5000) AS n"
        cursor = self.sql.open(statement)
        rows, end = [], False
        while not end:
            part = self.sql.fetch(cursor, 700)
            rows += part["rows"]
            end = part["end"]
        self.assertEqual([r[0] for r in rows], list(range(1, 5001)))
        client = self.enterContext(zerorpc_client.Client(gateways[0].endpoint))
        self.assertEqual(sum(1 for _ in client.stream("sql.stream", statement)), 5000)
        for i, _ in enumerate(client.stream("sql.stream", "SELECT generate_series(1, 100000000)")):
            if i == 10:
                break
        for _ in range(40):  # more than there are connections for them
            self.sql.fetch(self.sql.open(statement), 10000)
        self.fault("only a read can be taken in parts", self.sql.open, "DELETE FROM event WHERE id = ''")
        self.fault("", self.sql.open, "SELEC")
        self.assertEqual(self.sql.fetch(self.sql.open(statement), 10000)["route"]["class"], "read")

    def test_the_switch(self):
        self.addCleanup(self.sql.split, True)
        roles = lambda n: [self.sql.query("SELECT 1")["route"]["role"] for _ in range(n)]
        self.assertEqual(self.sql.split(False), {"split": 0, "shadow": False})
        self.assertEqual(set(roles(20)), {"primary"})
        self.sql.split(25)
        self.assertEqual(roles(100).count("replica"), 25)
        self.assertEqual([self.sql.split(share)["split"] for share in ("off", "on", "30%", 0, True)], [0, 100, 30, 0, 100])
        for share in ("101%", -1, 101, "half", 0.5, ["on"]):
            self.fault("must be true, false, an int from 0 to 100", self.sql.split, share)
        self.sql.split("shadow")
        route = self.sql.query("SELECT 1")["route"]
        self.assertEqual(route["role"], "primary")
        self.assertIn(route["shadow"], [n["node"] for n in self.nodes() if n["role"] == "replica"])

    def test_a_node_of_no_weight_takes_no_reads(self):
        nodes = [f"127.0.0.1:{cluster.node_port(n)}" for n in (1, 2)]
        with Gateway(config=f'[database.main]\nurl = "{cluster.url()}"\nweights = ["{nodes[0]}=0"]\n') as gateway, proxy(gateway) as g:
            wait_for(lambda: [n["state"] for n in g.sql.topology()["nodes"]] == ["up"] * 3, "the nodes to be looked at")
            self.assertEqual({g.sql.query("SELECT 1")["route"]["node"] for _ in range(50)}, {nodes[1]})

    def test_what_is_not_understood_has_a_connection_that_nobody_has_after_it(self):
        deep = "SELECT " + "+".join(["1"] * 2500) + ", set_config('search_path', 'nowhere', false)"
        for text in ("BEGIN /*" + "x" * 1_100_000 + "*/", deep, "BEGIN " + "/*" * 3000 + "*/" * 3000):
            for _ in range(3):
                self.sql.execute(text)
            written = [self.sql.execute("INSERT INTO pair VALUES (?, 0)", [10_000_000 + i])["token"] for i in range(8)]
            self.assertEqual(cluster.sql(0, "SELECT count(*) FROM pair WHERE id BETWEEN 10000000 AND 10000099"), "8")
            self.assertEqual(self.sql.query("SELECT count(*) FROM pair WHERE id BETWEEN 10000000 AND 10000099", [], {"after": written[-1]})["rows"], [[8]])
            self.sql.execute("DELETE FROM pair WHERE id BETWEEN 10000000 AND 10000099")
            self.assertEqual({self.sql.execute("SELECT current_setting('search_path')")["rows"][0][0] for _ in range(20)}, {'"$user", public'})
        tx = self.sql.begin()
        self.sql.execute(deep, [], {"tx": tx})
        self.sql.commit(tx)
        self.assertEqual({self.sql.execute("SELECT current_setting('search_path')", [], {"key": f"path {n}"})["rows"][0][0] for n in range(5)}, {'"$user", public'})

    def test_what_takes_a_scanner_long_holds_up_nobody(self):
        for text in ("/*" * 100_000 + "*/" * 100_000 + " SELECT 1", "SELECT 1 " + "+" * 100_000 + " 1"):
            started = time.monotonic()
            self.assertEqual(self.sql.explain(text, {"dialect": "postgresql"})["class"], "primary")
            self.assertLess(time.monotonic() - started, 1)

    def test_a_nul_in_a_statement_is_refused_and_not_its_end(self):
        self.sql.execute("INSERT INTO pair VALUES (20000000, 0)")
        with zerorpc_client.Client(gateways[0].endpoint) as g:
            for method, statement in (("sql.execute", "UPDATE pair SET n = 1 WHERE id = 20000000\0 AND false"), ("sql.batch", [["DELETE FROM pair\0 WHERE false"]]), ("sql.query", "SELECT 1\0")):
                with self.assertRaises(zerorpc_client.RemoteError) as caught:
                    g(method, statement)
                self.assertIn("NUL character at byte", str(caught.exception))
        self.assertEqual(cluster.sql(0, "SELECT n FROM pair WHERE id = 20000000"), "0")

    def test_more_parameters_than_the_protocol_has_room_for_are_refused(self):
        many = [1] * 65_536
        text = "SELECT 1 WHERE 1 IN (" + ",".join("?" * len(many)) + ")"
        self.assertEqual(self.sql.query(text[:-3] + ")", many[1:])["rows"], [[1]])
        self.fault("at most 65535 parameters, not 65536", self.sql.query, text, many)
        self.fault("at most 65535 parameters", self.sql.execute, "INSERT INTO pair " + text, many)
        self.fault("at most 65535 parameters", self.sql.batch, [["INSERT INTO pair VALUES (30000000, 0)"], [text, many], ["INSERT INTO pair VALUES (30000001, 0)"]])
        self.assertEqual(cluster.sql(0, "SELECT count(*) FROM pair WHERE id BETWEEN 30000000 AND 30000001"), "0")
        self.assertEqual({n["in_flight"] for n in self.nodes()}, {0})

    def test_names_that_are_too_long_to_be_told_are_cut_between_characters(self):
        name = "a" + "é" * 31
        self.sql.execute(f"CREATE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        self.assertEqual(self.sql.query(f"SELECT {name}()")["rows"], [[1]])
        for text in ("SELECT 1€", "SELECT 1::" + name, "SELECT * FROM t TABLESAMPLE " + name + " (1)"):
            self.assertIn(self.sql.explain(text, {"dialect": "postgresql"})["class"], ("read", "primary"), text)
        self.sql.explain("a" + "é" * 40 + " x", {"dialect": "mariadb"})

    def test_a_session_reads_what_it_wrote(self):
        for i in range(200):
            name = f"session {i}"
            self.sql.execute("INSERT INTO event VALUES (?, ?)", [name, i], {"session": "ann"})
            self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = ?", [name], {"session": "ann"})["rows"], [[i]])

    def test_a_key_knows_its_parameters_in_any_order(self):
        first = self.sql.execute("INSERT INTO pair VALUES (:a, :b)", {"a": 40_000_000, "b": 2}, {"key": "in order"})
        again = self.sql.execute("INSERT INTO pair VALUES (:a, :b)", {"b": 2, "a": 40_000_000}, {"key": "in order"})
        self.assertEqual((first["affected"], again["affected"], again["route"]["why"]), (1, 1, "the key was used before: the reply of that time"))

    def test_a_key_makes_a_write_happen_once(self):
        insert = ["INSERT INTO event VALUES (?, 1) RETURNING id, round", ["keyed"], {"key": "k1"}]
        first = self.sql.execute(*insert)
        with proxy(gateways[1]) as other:
            again = other.sql.execute(*insert)
            self.assertEqual((again["rows"], again["affected"]), (first["rows"], 1))
            self.assertIn("used before", again["route"]["why"])
            self.fault("another statement or other parameters", other.sql.execute, insert[0], ["changed"], {"key": "k1"})

    def test_a_stale_fence_is_refused(self):
        write = lambda token: self.sql.execute("INSERT INTO event VALUES (?, 1)", [f"fenced {token} {time.time()}"], {"fence": {"lock": "door", "token": token}})
        write("7"), write("7"), write("9")
        self.fault("stale fencing token: 8 was given, 9 was seen", write, "8")


class Users(unittest.TestCase):
    def test_none_holds_more_than_half_of_the_transactions(self):
        with tempfile.TemporaryDirectory(prefix="sluice-users-") as folder:
            add = lambda name: subprocess.run([SLUICE, "user", "add", name, "--role", "all", "--token", "--users", f"{folder}/users"], capture_output=True, text=True, check=True, timeout=60).stdout.strip()
            tokens = [add(name) for name in ("ann", "bob")]
            config = f'[access]\nusers = "{folder}/users"\n[role.all]\nmethods = ["*"]\nstatements = "write"\n[database.main]\nurl = "{cluster.url()}"\nleases = 4\n'
            with Gateway(config=config) as gateway:
                ann, bob = (xmlrpc.client.ServerProxy(gateway.url, headers=[("Authorization", "Bearer " + token)]) for token in tokens)
                with ann, bob:
                    held = [ann.sql.begin() for _ in range(2)]
                    with self.assertRaisesRegex(xmlrpc.client.Fault, "ann has 2 transactions open"):
                        ann.sql.begin()
                    bob.sql.rollback(bob.sql.begin())
                    ann.sql.rollback(held[0])
                    ann.sql.rollback(ann.sql.begin())


class Pairs(ClusterCase):
    """A writes through one gateway, B reads what A wrote through the other."""

    ids = itertools.count(int(time.time() * 1000) * 1000)

    def pairs(self, count, threads=6, before=None):
        failures, routes = [], []

        def work(i):
            writer = proxy(gateways[i % 2]) if i % 3 else OverZerorpc(gateways[i % 2])
            reader = OverZerorpc(gateways[1 - i % 2]) if i % 3 else proxy(gateways[1 - i % 2])
            try:
                with writer, reader:
                    for n in range(count // threads):
                        key = next(self.ids)
                        token = writer.sql.execute("INSERT INTO pair VALUES (?, ?)", [str(key), n])["token"]
                        read = reader.sql.query("SELECT n FROM pair WHERE id = ?", [str(key)], {"after": token})
                        routes.append(read["route"]["role"])
                        if read["rows"] != [[n]]:
                            failures.append(f"stale: {read}")
            except Exception as error:
                failures.append(repr(error))

        workers = [threading.Thread(target=work, args=[i]) for i in range(threads)]
        [w.start() for w in workers]
        if before:
            before()
        [w.join() for w in workers]
        self.assertEqual(failures, [])
        self.assertEqual(len(routes), count // threads * threads)
        return routes.count("replica") / len(routes)

    def test_without_lag(self):
        self.assertGreater(self.pairs(3000), 0.8)

    def test_with_a_little_lag(self):
        [cluster.lag(node, 5) for node in (1, 2)]
        self.addCleanup(lambda: [cluster.lag(node, 0) for node in (1, 2)])
        self.pairs(1800)

    def test_with_much_lag(self):
        [cluster.lag(node, 500) for node in (1, 2)]
        self.addCleanup(lambda: [cluster.lag(node, 0) for node in (1, 2)])
        self.pairs(1800)

    def test_with_replay_paused(self):
        [cluster.pause(node) for node in (1, 2)]
        try:
            self.assertEqual(self.pairs(1200), 0)
        finally:
            [cluster.resume(node) for node in (1, 2)]
        self.all_up()

    def test_a_table_that_no_replica_has_yet_is_read_after_its_token(self):
        """What a replica says that is not known to be fresh, an error too, is no answer."""
        [cluster.pause(node) for node in (1, 2)]
        try:
            for i in range(20):
                with proxy(gateways[0]) as writer, proxy(gateways[1]) as reader:
                    token = writer.sql.execute(f"CREATE TABLE young{i} AS SELECT 1 AS n")["token"]
                    self.assertEqual(reader.sql.query(f"SELECT n FROM young{i}", [], {"after": token})["rows"], [[1]])
        finally:
            [cluster.resume(node) for node in (1, 2)]
        self.all_up()

    def test_each_route_is_what_the_servers_logs_say(self):
        nodes = range(3)
        said = lambda setting: [(cluster.sql(n, f"ALTER SYSTEM {setting}"), cluster.sql(n, "SELECT pg_reload_conf()")) for n in nodes]
        said("SET log_statement = 'all'")
        self.addCleanup(said, "RESET log_statement")
        [wait_for(lambda: cluster.sql(n, "SHOW log_statement") == "all", "the servers to log statements") for n in nodes]
        routes, token = {}, ""
        other = proxy(gateways[1])
        self.addCleanup(other("close"))
        for i in range(100):
            g = self.sql if i % 2 else other.sql
            if i % 5 == 0:
                text = f"INSERT INTO event VALUES ('logged {i}', 1) /* sample {i}. */"
                answer = g.execute(text)
                token = answer["token"]
            else:
                answer = g.query(f"SELECT round FROM event WHERE id = 'logged {i // 5 * 5}' /* sample {i}. */", [], {"after": token})
                self.assertEqual(answer["rows"], [[1]])
            routes[i] = int(answer["route"]["node"].rpartition(":")[2]) - cluster.port
        logs = [(cluster.folder / f"node{n}.log").read_text() for n in nodes]
        for i, node in routes.items():
            # A read whose first replica was not fresh is in that one's log too; a write in no other.
            seen = [n for n in nodes if f"/* sample {i}. */" in logs[n]]
            self.assertIn(node, seen)
            if i % 5 == 0:
                self.assertEqual(seen, [cluster.primary])
        self.assertEqual({0, 1, 2}, set(routes.values()))

    def test_while_a_replica_is_killed(self):
        self.pairs(1500, before=lambda: cluster.kill(1))
        cluster.start(1)
        started = time.monotonic()
        self.all_up()
        self.assertLess(time.monotonic() - started, 5)

    def test_while_a_replica_hangs(self):
        self.pairs(1500, before=lambda: cluster.freeze(2))
        left = self.nodes()
        cluster.thaw(2)
        self.assertEqual([n["state"] for n in left if n["node"].endswith(str(cluster.node_port(2)))], ["down"])
        self.all_up()


class PutBack(unittest.TestCase):
    def test_a_write_that_the_primary_lost_with_its_data_is_told_as_lost(self):
        """No failover: the same server, on the same timeline, from an older copy of its files."""
        with postgres.Postgres(replicas=0, fsync=False) as own, Gateway(data=own.url()) as gateway, proxy(gateway) as g:
            files, copy = own.folder / "node0", own.folder / "copy"
            g.sql.execute("CREATE TABLE note(n int)")
            own.stop(0)
            own.run("cp", "-a", files, copy)
            own.start(0)
            token = g.sql.execute("INSERT INTO note SELECT generate_series(1, 1000)", [], {"timeout_ms": 20_000})["token"]
            own.stop(0)
            own.run("rm", "-rf", files)
            copy.rename(files)
            own.start(0)
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                g.sql.query("SELECT count(*) FROM note", [], {"after": token, "timeout_ms": 20_000})
            self.assertEqual(caught.exception.faultCode, -32014)
            self.assertEqual(g.sql.query("SELECT count(*) FROM note")["rows"], [[0]])


class Hangs(ClusterCase):
    def test_a_replica_that_hangs_is_left_within_half_a_second_and_taken_back_within_five(self):
        self.all_up()
        cluster.freeze(1)
        try:
            slowest = 0
            until = time.monotonic() + 2
            while time.monotonic() < until:
                started = time.monotonic()
                self.sql.query("SELECT count(*) FROM pair")
                slowest = max(slowest, time.monotonic() - started)
        finally:
            cluster.thaw(1)
        thawed = time.monotonic()
        self.all_up()
        self.assertLess(time.monotonic() - thawed, 5)
        self.assertLess(slowest, 0.5)

    def test_a_primary_that_hangs_holds_up_writers_for_no_longer_than_they_asked(self):
        cluster.freeze(cluster.primary)
        try:
            started = time.monotonic()
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                self.sql.execute("INSERT INTO event VALUES ('hang', 0)", [], {"timeout_ms": 700})
            self.assertLess(time.monotonic() - started, 1.2)
            self.assertIn(caught.exception.faultCode, (-32013, -32011))
            self.assertEqual(self.sql.query("SELECT 1")["rows"], [[1]])
        finally:
            cluster.thaw(cluster.primary)
        self.all_up()


if __name__ == "__main__":
    unittest.main()
