"""The wire between the gateway and each of its backends is slow, cut, half closed or frozen: callers get an answer or a clear fault in
time, and all is well again soon after."""

import contextlib
import os
import sys
import time
import unittest
import xmlrpc.client

SOURCE = os.environ["SLUICE_SOURCE"]
sys.path += [os.path.join(SOURCE, "tests/integration"), os.path.join(SOURCE, "tests/clusters")]

from gate import Gate
from gateway import Gateway, proxy, wait_for
from mariadb import MariaDB
from postgres import Postgres
from redis_masters import Redis
from zookeeper_nodes import ZooKeeper

UNAVAILABLE, DEADLINE, UNKNOWN = -32012, -32011, -32013
PATIENCE = 12  # seconds, that a call may take while nothing passes; what it takes once something passes again is less
SOON = 10


class Wires:
    """What each backend goes through. `call` changes something there, and raises what the caller is told."""

    def setUp(self):
        cluster = self.enterContext(self.cluster())
        self.gate = self.enterContext(Gate(cluster.node_port(0)))
        self.gateway = self.enterContext(Gateway(**self.settings(f"127.0.0.1:{self.gate.port}")))
        self.g = self.enterContext(xmlrpc.client.ServerProxy(self.gateway.url))
        self.number = 0
        wait_for(self.works, "the backend to be reached")
        self.prepare()

    def prepare(self):
        pass

    def works(self):
        try:
            self.call()
            return True
        except xmlrpc.client.Fault as fault:
            self.assertIn(fault.faultCode, (UNAVAILABLE, DEADLINE, UNKNOWN), fault)
            return False

    def test_a_slow_wire_slows_calls_and_fails_none(self):
        self.gate.delay(20)
        self.call()
        self.gate.delay(0)
        self.gate.drip(20_000)
        self.call()

    def test_a_cut_wire_is_laid_anew(self):
        for reset in (True, False):
            self.gate.drop_all(reset=reset)
            wait_for(self.works, "calls to be served again", SOON)

    def test_a_wire_that_is_cut_within_an_answer_is_laid_anew(self):
        for size in range(1, 60, 6):
            self.gate.cut_after(bytes_to_client=size)
            wait_for(self.works, "calls to be served again", SOON)
        self.gate.heal()

    def test_a_half_closed_wire_is_laid_anew(self):
        for to_client in (True, False):
            self.gate.half_close(to_client=to_client)
            wait_for(self.works, "calls to be served again", SOON)

    def test_a_frozen_wire_hangs_nobody(self):
        self.gate.freeze()
        started = time.monotonic()
        self.assertFalse(self.works())
        self.assertLess(time.monotonic() - started, PATIENCE)
        self.assertEqual(self.g.add(3, 4), 7)
        self.gate.thaw()
        wait_for(self.works, "calls to be served again", SOON)


class Rows(Wires):
    def prepare(self):
        self.call = self.insert

    def call(self):
        self.g.sql.execute("CREATE TABLE IF NOT EXISTS wired(n int)", [], {"timeout_ms": 5000})

    def insert(self):
        self.number += 1
        self.assertEqual(self.g.sql.execute("INSERT INTO wired VALUES (?)", [self.number], {"timeout_ms": 2000})["affected"], 1)


class ToPostgreSQL(Rows, unittest.TestCase):
    cluster = staticmethod(lambda: Postgres(replicas=0, fsync=False))
    settings = staticmethod(lambda place: {"data": f"postgresql://app@{place}/app"})


class ToMariaDB(Rows, unittest.TestCase):
    cluster = staticmethod(lambda: MariaDB(replicas=0, fsync=False))
    settings = staticmethod(lambda place: {"data": f"mariadb://app@{place}/app"})


class NewConnections(unittest.TestCase):
    """To a replica that answers on the connection that looks after it, none for reads can be made."""

    def check(self, cluster, scheme):
        for ill in ("refuse", "keep_waiting"):
            with self.subTest(ill), cluster(fsync=False) as nodes, Gate(nodes.node_port(1)) as gate:
                getattr(gate, ill)(after=1)
                hosts = ",".join(f"127.0.0.1:{port}" for port in (nodes.node_port(0), gate.port, nodes.node_port(2)))
                config = f'[database.main]\nurl = "{scheme}://app@{hosts}/app"\nweights = ["127.0.0.1:{gate.port}=100"]\n'  # it would draw them
                with Gateway(config=config) as gateway, proxy(gateway) as g:
                    at_gate = lambda: next(n for n in g.sql.topology()["nodes"] if n["node"].endswith(str(gate.port)))
                    answers = lambda: at_gate()["state"] != "down"
                    for _ in range(5):  # its connection may be lost on a busy machine: then another is let through
                        with contextlib.suppress(AssertionError):
                            wait_for(answers, "the replica to answer probes", 4)
                            break
                        getattr(gate, ill)(after=1)
                    self.assertTrue(answers())
                    getattr(gate, ill)()
                    slowest, waited = 0, 0
                    for _ in range(300):
                        started = time.monotonic()
                        self.assertTrue(g.sql.query("SELECT 1")["route"]["node"])
                        took = time.monotonic() - started
                        slowest, waited = max(slowest, took), waited + (took > 0.1)
                    self.assertGreater(at_gate()["ejections"], 0)
                    self.assertLess(slowest, 1)
                    self.assertLess(waited, 5, "it drew reads again and again")
                    gate.heal()
                    began = time.monotonic()
                    wait_for(lambda: g.sql.query("SELECT 1")["route"]["node"].endswith(str(gate.port)), "the replica to serve reads")
                    self.assertLess(time.monotonic() - began, 5)

    def test_of_postgresql_holds_up_no_reads(self):
        self.check(Postgres, "postgresql")

    def test_of_mariadb_holds_up_no_reads(self):
        self.check(MariaDB, "mariadb")


class Locks(Wires):
    def call(self):
        self.number += 1
        lease = self.g.lock.acquire(f"wired {self.number}", {"wait_ms": 2000})
        self.assertTrue(lease["granted"])
        self.g.lock.release(lease)


class ToRedis(Locks, unittest.TestCase):
    cluster = staticmethod(lambda: Redis(fsync=False))
    settings = staticmethod(lambda place: {"config": f'[lock]\nbackend = "redis://{place}"\n'})


class ToZooKeeper(Locks, unittest.TestCase):
    cluster = staticmethod(lambda: ZooKeeper(replicas=0, fsync=False))
    settings = staticmethod(lambda place: {"config": f'[lock]\nbackend = "zookeeper://{place}/wired"\n'})


if __name__ == "__main__":
    unittest.main()
