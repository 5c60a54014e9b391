"""What sql.* must do through two real gateways on one cluster of database servers, whichever engine that is: nobody reads less than was
written, whatever breaks.

A test file for an engine imports these cases and sets `engine`, which tells what the same things are called there. What is particular
to the engine it adds to them, or as a ClusterCase.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
import unittest
import xmlrpc.client

sys.path += [os.path.join(os.environ["SLUICE_SOURCE"], folder) for folder in ("tests/clusters", "examples/1_hello")]
import zerorpc_client  # noqa: E402
from cases import DEADLINE, OUTCOME_UNKNOWN, WRITE_LOST, FaultCase, together  # noqa: E402
from gateway import SLUICE, Gateway, proxy, serving, wait_for  # noqa: E402


class Engine:
    """How the same things are said to an engine, and by it."""

    cluster = None  # one of tests/clusters
    dialect = None  # as sql.explain takes it
    version, position = None, None  # patterns of what sql.topology tells
    no_such_table, duplicate_key, two_statements, deadlock, too_many_parameters = (None,) * 5  # what faults say
    fails_at_zero = None  # a read of one parameter, which answers 1 and fails when that is 0; what its fault says
    kinds, instant = {}, None  # name -> (type, value), for each common type; the type of a point in time
    setting = None  # a query of a connection's setting; its answer where nobody changed that
    taking_over = {}  # a text that no gateway understands, and that changes its connection -> the fault, where the server tells of it; the first is of `setting`
    slow_to_scan = {}  # text -> its class
    endless = None  # a read of more rows than anybody takes
    lag_ms = None  # what a replica can be told to be behind

    def numbers(self, count):
        """A read of the column n from 1 to `count`, and another one of a hundred characters."""
        raise NotImplementedError

    def statements_logged(self, cluster):
        """A context in which the servers log every statement; gives a function that gives the log of a node."""
        raise NotImplementedError


engine = None


def setUpModule():
    global cluster, gateways
    cluster = engine.cluster(fsync=False)
    gateways = unittest.enterModuleContext(serving(cluster))
    with proxy(gateways[0]) as g:
        g.sql.execute("CREATE TABLE pair(id bigint PRIMARY KEY, n int NOT NULL)")
        g.sql.execute("CREATE TABLE event(id varchar(100) PRIMARY KEY, round int)")


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


class ClusterCase(FaultCase):
    def setUp(self):
        self.cluster, self.gateways = cluster, gateways
        self.g, self.other = proxy(gateways[0]), proxy(gateways[1])
        self.sql = self.g.sql
        self.addCleanup(self.g("close"))
        self.addCleanup(self.other("close"))

    def nodes(self, gateway=None):
        with proxy(gateway or gateways[0]) as g:
            return g.sql.topology()["nodes"]

    def number(self, answer):
        """Of the node that a call ran on."""
        return int(answer["route"]["node"].rpartition(":")[2]) - cluster.port

    def all_up(self):
        def fine():
            nodes = [node for gateway in gateways for node in self.nodes(gateway)]
            return all(n["state"] in ("up", "trial") and n["role"] in ("primary", "replica") and n["following"] and n["lag_ms"] < 100 for n in nodes)

        try:
            wait_for(fine, "all nodes to be up again")
        except AssertionError as error:
            raise AssertionError(f"{error}: {[self.nodes(g) for g in gateways]}") from None


class Statements(ClusterCase):
    def test_a_read_goes_to_a_replica_and_a_write_to_the_primary(self):
        write = self.sql.execute("INSERT INTO event VALUES (?, 0)", ["first"])
        self.assertEqual((write["route"]["role"], write["route"]["class"], write["affected"]), ("primary", "write", 1))
        for placeholder, params in (("?", ["first"]), ("$1", ["first"]), (":id", {"id": "first"})):
            read = self.sql.query(f"SELECT id FROM event WHERE id = {placeholder}", params, {"after": write["token"]})
            self.assertEqual(read["rows"], [["first"]])
            self.assertEqual((read["route"]["role"], read["route"]["class"]), ("replica", "read"))

    def test_every_common_type_travels_both_ways(self):
        self.sql.execute("CREATE TABLE kinds(" + ", ".join(f"{name} {kind}" for name, (kind, _) in engine.kinds.items()) + f", instant {engine.instant})")
        values = [value for _, value in engine.kinds.values()]
        w = self.sql.execute(f"INSERT INTO kinds VALUES ({', '.join('?' * (len(values) + 1))})", [*values, xmlrpc.client.DateTime("20260131T12:00:00")])
        row = self.sql.query("SELECT * FROM kinds", [], {"after": w["token"]})["rows"][0]
        self.assertEqual(row[:-1], values)
        self.assertEqual(row[-1].isoformat(), "2026-01-31T12:00:00")

    def test_faults_name_what_is_wrong(self):
        self.fault(engine.no_such_table, self.sql.query, "SELECT * FROM nosuch")
        twice = [["INSERT INTO event VALUES ('twice', 0)"], ["INSERT INTO event VALUES ('twice', 0)"]]
        self.fault(engine.duplicate_key, self.sql.batch, twice)
        for options in ({}, {"key": "twice"}, {"tx": self.sql.begin()}, {"tx": self.sql.begin(), "fence": {"lock": "twice", "token": "1"}}):
            self.fault("statement 2 of 2: ", self.sql.batch, twice, options)
            self.fault("statement 2 of 3: ", self.sql.batch, [["SELECT 1"], ["SELECT ?", []], ["SELECT 2"]], {} if "tx" in options else options)
            if "tx" in options:
                self.sql.rollback(options["tx"])
        self.assertEqual(self.sql.query("SELECT count(*) FROM event WHERE id = 'twice'", [], {"level": "primary"})["rows"], [[0]])
        for setting in ("search_path = x", "autocommit = 0"):
            self.fault("which other callers share", self.sql.query, f"SET {setting}")
        tx = self.sql.begin()
        self.fault("a transaction of sql.begin takes no statement that changes its connection", self.sql.execute, "SAVEPOINT here", [], {"tx": tx})
        self.sql.rollback(tx)
        self.fault("2 parameters, but 1 were given", self.sql.query, "SELECT ?, ?", [1])
        self.fault(engine.two_statements, self.sql.query, "SELECT 1; SELECT 2")
        for place in ("1.0-1-1", ".0-1-1"):
            self.fault("signed by a gateway", self.sql.query, "SELECT 1", [], {"after": f"s1.{place}.000000000000000000000000"})

    def test_a_token_of_nothing_waits_for_nothing(self):
        nothing = self.sql.batch([["SELECT 1"]])["token"]
        self.assertEqual(self.sql.query("SELECT 1", [], {"after": nothing})["rows"], [[1]])

    def test_who_waits_in_vain_for_a_connection_is_told_so(self):
        with Gateway(config=f'[database.main]\nurl = "{cluster.url()}"\nleases = 2\n') as gateway, proxy(gateway) as g:
            held = [g.sql.begin() for _ in range(2)]
            began = time.monotonic()
            for call in ((g.sql.execute, "INSERT INTO event VALUES ('in vain', 1)", [], {"key": "in vain", "timeout_ms": 300}), (g.sql.begin, {"timeout_ms": 300}),
                         (g.sql.fetch, g.sql.open("SELECT 1", [], {"level": "primary", "timeout_ms": 300}), 1)):
                self.assertEqual(self.fault("(leases) are taken; it has not run", *call), DEADLINE)
            self.assertLess(time.monotonic() - began, 3)
            self.assertEqual({n["waiting"] for n in g.sql.topology()["nodes"]}, {0})
            for tx in held:
                g.sql.rollback(tx)
            self.assertEqual(g.sql.execute("INSERT INTO event VALUES ('not in vain', 1)", [], {"key": "in vain too"})["affected"], 1)

    def test_one_that_fails_takes_no_neighbour_along(self):
        good, bad = [], []
        statement, words = engine.fails_at_zero

        def call(i):
            with zerorpc_client.Client(gateways[0].endpoint) as mine:
                for _ in range(30):
                    try:
                        good.append(mine("sql.query", statement, [0 if i % 4 == 0 else 1])["rows"])
                    except zerorpc_client.RemoteError as error:
                        bad.append(str(error))

        together(*(lambda i=i: call(i) for i in range(8)))
        self.assertEqual((good, len(bad)), ([[[1]]] * 180, 60))
        self.assertEqual([b for b in bad if words not in b], [])

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

    def test_one_of_two_that_lock_each_other_out_is_told_to_try_again(self):
        self.sql.batch([["INSERT INTO event VALUES ('lock a', 0)"], ["INSERT INTO event VALUES ('lock b', 0)"]])
        first, second = self.sql.begin(), self.sql.begin()
        answers = []

        def update(name, tx):
            with proxy(gateways[0]) as g:
                try:
                    g.sql.execute("UPDATE event SET round = round + 1 WHERE id = ?", [name], {"tx": tx})
                except xmlrpc.client.Fault as fault:
                    answers.append(fault.faultString)

        update("lock a", first), update("lock b", second)
        together(lambda: update("lock b", first), lambda: update("lock a", second))
        self.assertEqual(len(answers), 1, answers)
        self.assertIn(engine.deadlock, answers[0])
        for tx in (first, second):
            self.sql.rollback(tx)

    def test_cursors_and_streams_give_their_connections_back(self):
        statement = engine.numbers(5000)
        cursor = self.sql.open(statement)
        rows, end = [], False
        while not end:
            part = self.sql.fetch(cursor, 700)
            rows += part["rows"]
            end = part["end"]
        self.assertEqual([r[0] for r in rows], list(range(1, 5001)))
        client = self.enterContext(zerorpc_client.Client(gateways[0].endpoint))
        self.assertEqual(sum(1 for _ in client.stream("sql.stream", statement)), 5000)
        for i, _ in enumerate(client.stream("sql.stream", engine.endless)):
            if i == 10:
                break
        for _ in range(40):  # more than there are connections for them
            self.sql.fetch(self.sql.open(statement), 10000)
            self.sql.close(self.sql.open(statement))
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

    def test_the_topology_tells_roles_positions_and_versions(self):
        nodes = self.nodes()
        self.assertEqual(sorted(n["role"] for n in nodes), ["primary", "replica", "replica"])
        for node in nodes:
            self.assertRegex(node["version"], engine.version)
            self.assertRegex(node["position"], engine.position)

    def test_a_node_of_no_weight_takes_no_reads(self):
        nodes = [f"127.0.0.1:{cluster.node_port(n)}" for n in (1, 2)]
        with Gateway(config=f'[database.main]\nurl = "{cluster.url()}"\nweights = ["{nodes[0]}=0"]\n') as gateway, proxy(gateway) as g:
            wait_for(lambda: [n["state"] for n in g.sql.topology()["nodes"]] == ["up"] * 3, "the nodes to be looked at")
            routes = [g.sql.query("SELECT 1")["route"] for _ in range(50)]
            self.assertEqual([route for route in routes if route["node"] != nodes[1]], [])

    def test_what_is_not_understood_has_a_connection_that_nobody_has_after_it(self):
        setting, unchanged = engine.setting
        for text, refused in engine.taking_over.items():
            for _ in range(3):
                self.fault(refused, self.sql.execute, text) if refused else self.sql.execute(text)
            written = [self.sql.execute("INSERT INTO pair VALUES (?, 0)", [10_000_000 + i])["token"] for i in range(8)]
            self.assertEqual(cluster.sql(0, "SELECT count(*) FROM pair WHERE id BETWEEN 10000000 AND 10000099"), "8")
            self.assertEqual(self.sql.query("SELECT count(*) FROM pair WHERE id BETWEEN 10000000 AND 10000099", [], {"after": written[-1]})["rows"], [[8]])
            self.sql.execute("DELETE FROM pair WHERE id BETWEEN 10000000 AND 10000099")
            self.assertEqual({self.sql.execute(setting)["rows"][0][0] for _ in range(20)}, {unchanged})
        tx = self.sql.begin()
        self.sql.execute(next(iter(engine.taking_over)), [], {"tx": tx})
        self.sql.commit(tx)
        self.assertEqual({self.sql.execute(setting, [], {"key": f"setting {n}"})["rows"][0][0] for n in range(5)}, {unchanged})

    def test_what_takes_a_scanner_long_holds_up_nobody(self):
        for text, kind in engine.slow_to_scan.items():
            started = time.monotonic()
            self.assertEqual(self.sql.explain(text, {"dialect": engine.dialect})["class"], kind)
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
        self.fault(engine.too_many_parameters, self.sql.query, text, many)
        self.fault(engine.too_many_parameters, self.sql.execute, "INSERT INTO pair " + text, many)
        self.fault(engine.too_many_parameters, self.sql.batch, [["INSERT INTO pair VALUES (30000000, 0)"], [text, many], ["INSERT INTO pair VALUES (30000001, 0)"]])
        self.assertEqual(cluster.sql(0, "SELECT count(*) FROM pair WHERE id BETWEEN 30000000 AND 30000001"), "0")
        self.assertEqual({n["in_flight"] for n in self.nodes()}, {0})

    def test_a_session_reads_what_it_wrote(self):
        for i in range(200):
            name = f"session {i}"
            self.sql.execute("INSERT INTO event VALUES (?, ?)", [name, i], {"session": "ann"})
            self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = ?", [name], {"session": "ann"})["rows"], [[i]])

    def test_latest_sees_what_others_wrote(self):
        for i in range(100):
            self.assertTrue(self.sql.execute("INSERT INTO event VALUES (?, ?)", [f"latest {i}", i])["token"])
            self.assertEqual(self.other.sql.query("SELECT round FROM event WHERE id = ?", [f"latest {i}"], {"level": "latest"})["rows"], [[i]])

    def test_a_key_makes_a_write_happen_once(self):
        insert = ["INSERT INTO event VALUES (?, 1) RETURNING id, round", ["keyed"], {"key": "k1"}]
        first, again = self.sql.execute(*insert), self.other.sql.execute(*insert)
        self.assertEqual((again["rows"], again["affected"]), (first["rows"], 1))
        self.assertIn("used before", again["route"]["why"])
        self.fault("another statement or other parameters", self.other.sql.execute, insert[0], ["changed"], {"key": "k1"})

    def test_keys_are_compared_octet_by_octet(self):
        for n, key in enumerate(("k2", "K2", "k2 ", "\u212a2")):
            answer = self.sql.execute("INSERT INTO event VALUES (?, 1)", [f"octets {n}"], {"key": key})
            self.assertEqual(answer["affected"], 1)
            self.assertNotIn("used before", answer["route"]["why"])

    def test_a_key_knows_its_parameters_in_any_order(self):
        first = self.sql.execute("INSERT INTO pair VALUES (:a, :b)", {"a": 40_000_000, "b": 2}, {"key": "in order"})
        again = self.sql.execute("INSERT INTO pair VALUES (:a, :b)", {"b": 2, "a": 40_000_000}, {"key": "in order"})
        self.assertEqual((first["affected"], again["affected"], again["route"]["why"]), (1, 1, "the key was used before: the reply of that time"))

    def test_a_key_used_by_many_at_once_makes_a_write_happen_once(self):
        self.sql.execute("INSERT INTO event VALUES ('counter', 0)")
        answers = []

        def call(i, key):
            with proxy(gateways[i % 2]) as g:
                answers.append(g.sql.execute("UPDATE event SET round = round + 1 WHERE id = 'counter'", [], {"key": key})["affected"])

        for round in range(20):
            together(*(lambda i=i: call(i, f"many {round}") for i in range(6)))
        self.assertEqual(answers, [1] * 120)
        self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'counter'", [], {"level": "primary"})["rows"], [[20]])

    def test_a_stale_fence_is_refused(self):
        write = lambda token: self.sql.execute("INSERT INTO event VALUES (?, 1)", [f"fenced {token} {time.time()}"], {"fence": {"lock": "door", "token": token}})
        write("7"), write("7"), write("9")
        self.fault("stale fencing token: 8 was given, 9 was seen", write, "8")


    def test_a_fence_is_checked_in_a_transaction(self):
        write = lambda tx, token: self.sql.execute("INSERT INTO event VALUES (?, 1)", [f"fenced {token} {time.time()}"], {**tx, "fence": {"lock": "gate", "token": token}})
        write({}, "7")
        early, tx = self.sql.begin(), self.sql.begin()
        self.assertEqual(self.sql.query("SELECT count(*) FROM event WHERE id LIKE 'gated%'", [], {"tx": early})["rows"], [[0]])
        self.assertEqual(write({"tx": tx}, "9")["affected"], 1)
        self.sql.commit(tx)
        self.fault("stale fencing token: 8 was given, 9 was seen", write, {"tx": early}, "8")
        self.fault("its fencing token is stale", self.sql.commit, early)

    def test_keys_and_fences_are_good_again_after_their_tables_were_dropped(self):
        guards = {"sluice_keys": lambda: {"key": str(time.time())}, "sluice_fences": lambda: {"fence": {"lock": "way", "token": str(int(time.time()))}},
                  "sluice_fences, sluice_keys": lambda: {"key": str(time.time()), "fence": {"lock": "way", "token": str(int(time.time()))}}}
        for tables, options in guards.items():
            with self.subTest(tables):
                write = lambda: self.sql.execute("INSERT INTO event VALUES (?, 1)", [f"anew {time.time()}"], options())
                write()
                cluster.sql(0, f"DROP TABLE {tables}")
                self.assertEqual(write()["affected"], 1)

    def test_a_fence_makes_its_table_in_a_transaction(self):
        with Gateway(data=cluster.url()) as gateway, proxy(gateway) as g:
            cluster.sql(0, "DROP TABLE IF EXISTS sluice_fences")
            tx = g.sql.begin()
            self.assertEqual(g.sql.execute("INSERT INTO event VALUES (?, 1)", [f"way {time.time()}"], {"tx": tx, "fence": {"lock": "way", "token": "1"}})["affected"], 1)
            g.sql.commit(tx)


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

    def pairs(self, count, threads=6, meanwhile=None):
        """Answers which part of the reads replicas answered."""
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

        together(*(lambda i=i: work(i) for i in range(threads)), *([meanwhile] if meanwhile else []))
        self.assertEqual(failures, [])
        self.assertEqual(len(routes), count // threads * threads)
        return routes.count("replica") / len(routes)

    def with_lag(self, nodes, ms, count):
        for node in nodes:
            self.addCleanup(cluster.lag, node, 0)
            cluster.lag(node, ms)
        self.pairs(count)

    def paused(self, call):
        [cluster.pause(node) for node in (1, 2)]
        try:
            call()
        finally:
            [cluster.resume(node) for node in (1, 2)]
        self.all_up()

    def test_without_lag(self):
        self.all_up()
        self.assertGreater(self.pairs(3000), 0.8)

    def test_with_lag_on_one(self):
        self.with_lag([1], engine.lag_ms, 1800)

    def test_with_lag_on_all(self):
        self.with_lag([1, 2], engine.lag_ms, 1800)

    def test_with_replay_paused(self):
        self.paused(lambda: self.assertEqual(self.pairs(1200), 0))

    def test_latest_sees_what_others_wrote_whatever_else_is_asked_for(self):
        mine = self.sql.execute("INSERT INTO event VALUES ('latest of mine', 1)", [], {"session": "latest"})["token"]
        self.cluster.sync()

        def write_and_read():
            self.other.sql.execute("INSERT INTO event VALUES ('latest of others', 1)")
            for more in ({}, {"after": mine}, {"session": "latest"}):
                self.assertEqual(self.sql.query("SELECT round FROM event WHERE id = 'latest of others'", [], {"level": "latest", **more})["rows"], [[1]], more)

        self.paused(write_and_read)

    def test_a_session_reads_what_its_transactions_wrote(self):
        def write_and_read():
            for i, (at_begin, at_statement) in enumerate((({"session": "eve"}, {}), ({}, {"session": "eve"}), ({"session": "eve"}, {"session": "eve"}))):
                tx = self.sql.begin(at_begin)
                self.sql.execute("INSERT INTO event VALUES (?, 1)", [f"of a transaction {i}"], {"tx": tx, **at_statement})
                self.sql.commit(tx)
                self.assertEqual(self.sql.query("SELECT count(*) FROM event WHERE id LIKE 'of a transaction%'", [], {"session": "eve"})["rows"], [[i + 1]])
            tx = self.sql.begin({"session": "eve"})
            self.fault("must be the one of the transaction, 'eve', or none, not 'adam'", self.sql.query, "SELECT 1", [], {"tx": tx, "session": "adam"})
            self.sql.rollback(tx)

        self.paused(write_and_read)

    def test_a_table_that_no_replica_has_yet_is_read_after_its_token(self):
        """What a replica says that is not known to be fresh, an error too, is no answer."""

        def write_and_read():
            for i in range(20):
                token = self.sql.execute(f"CREATE TABLE young{i} AS SELECT 1 AS n")["token"]
                self.assertEqual(self.other.sql.query(f"SELECT n FROM young{i}", [], {"after": token})["rows"], [[1]])

        self.paused(write_and_read)

    def test_each_route_is_what_the_servers_logs_say(self):
        self.all_up()
        routes, token = {}, ""
        until = time.monotonic() + 20
        with engine.statements_logged(cluster) as log:
            # A replica on trial has one read until that went well: it may take more than a hundred until each node had some.
            while len(routes) < 100 or (set(routes.values()) != {0, 1, 2} and time.monotonic() < until):
                i = len(routes)
                sql = self.sql if i % 2 else self.other.sql
                if i % 5 == 0:
                    answer = sql.execute(f"INSERT INTO event VALUES ('logged {i}', 1) /* sample {i}. */")
                    token = answer["token"]
                else:
                    answer = sql.query(f"SELECT round FROM event WHERE id = 'logged {i // 5 * 5}' /* sample {i}. */", [], {"after": token})
                    self.assertEqual(answer["rows"], [[1]])
                routes[i] = self.number(answer)
        logs = [log(n) for n in range(3)]
        for i, node in routes.items():
            # A read whose first replica was not fresh is in that one's log too; a write in no other.
            seen = [n for n in range(3) if f"/* sample {i}. */" in logs[n]]
            self.assertIn(node, seen)
            if i % 5 == 0:
                self.assertEqual(seen, [cluster.primary])
        self.assertEqual({0, 1, 2}, set(routes.values()))

    def test_a_read_that_need_not_be_fresh_is_in_one_log_and_not_the_primarys(self):
        with engine.statements_logged(cluster) as log:
            routes = {marker: self.number(self.sql.query("SELECT ?", [marker])) for marker in (f"true {i} {time.time()}" for i in range(200))}
        logs = [log(n) for n in range(3)]
        for marker, node in routes.items():
            self.assertEqual([n for n in range(3) if marker in logs[n]], [node], marker)
        self.assertNotIn(cluster.primary, routes.values())

    def test_while_a_replica_is_killed(self):
        self.pairs(1500, meanwhile=lambda: cluster.kill(1))
        cluster.start(1)
        started = time.monotonic()
        self.all_up()
        self.assertLess(time.monotonic() - started, 5)

    def test_while_a_replica_hangs(self):
        self.pairs(1500, meanwhile=lambda: cluster.freeze(2))
        left = self.nodes()
        cluster.thaw(2)
        self.assertEqual([n["state"] for n in left if n["node"].endswith(str(cluster.node_port(2)))], ["down"])
        self.all_up()


class PutBack(FaultCase):
    def test_a_write_that_the_primary_lost_with_its_data_is_told_as_lost(self):
        """No failover: the same server, with the same history, from an older copy of its files."""
        own = engine.cluster(replicas=0, fsync=False)
        with serving(own, 1) as [gateway], proxy(gateway) as g:
            files, copy = own.node_folder(0), own.folder / "copy"
            g.sql.execute("CREATE TABLE note(n int)")
            own.stop(0)
            own.run("cp", "-a", files, copy)
            own.start(0)
            token = g.sql.execute(f"INSERT INTO note SELECT n FROM ({engine.numbers(1000)}) AS numbers", [], {"timeout_ms": 20_000})["token"]
            own.stop(0)
            own.run("rm", "-rf", files)
            copy.rename(files)
            own.start(0)
            self.assertEqual(self.fault("", g.sql.query, "SELECT count(*) FROM note", [], {"after": token, "timeout_ms": 20_000}), WRITE_LOST)
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
            code = self.fault("", self.sql.execute, "INSERT INTO event VALUES ('hang', 0)", [], {"timeout_ms": 700})
            self.assertLess(time.monotonic() - started, 1.2)
            self.assertIn(code, (OUTCOME_UNKNOWN, DEADLINE))
            self.assertEqual(self.sql.query("SELECT 1")["rows"], [[1]])
        finally:
            cluster.thaw(cluster.primary)
        self.all_up()
