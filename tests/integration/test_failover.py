"""Primaries die, replicas are promoted: writes go on by themselves, reads never stop, nothing acknowledged is lost or done twice."""

import os
import random
import statistics
import sys
import threading
import time
import unittest
import xmlrpc.client

sys.path.append(os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import postgres
from gateway import Gateway, wait_for

ROUNDS = 20


def proxy(gateway):
    return xmlrpc.client.ServerProxy(gateway.url, allow_none=True)


class Failover(unittest.TestCase):
    def setUp(self):
        # A replica that is promoted must have what was acknowledged: the tests are of the gateway, not of asynchronous replication.
        self.cluster = postgres.Postgres(fsync=False, settings="synchronous_standby_names = 'ANY 1 (node0, node1, node2)'\n")
        self.cluster.__enter__()
        self.addCleanup(self.cluster.destroy)
        self.gateway = Gateway(data=self.cluster.url())
        self.addCleanup(self.gateway.stop)
        with proxy(self.gateway) as g:
            g.sql.execute("CREATE TABLE event(id bigint, worker int, PRIMARY KEY (worker, id))")
        self.ending = threading.Event()
        self.acknowledged, self.unknown, self.problems, self.read_gaps = [], [], [], []
        self.last_write = time.monotonic()

    def write(self, worker):
        with proxy(self.gateway) as g:
            n = 0
            while not self.ending.is_set():
                n += 1
                try:
                    g.sql.execute("INSERT INTO event VALUES (?, ?)", [n, worker])
                    self.acknowledged.append((worker, n, time.monotonic()))
                except xmlrpc.client.Fault as fault:
                    if fault.faultCode == -32013:
                        self.unknown.append((worker, n))
                    else:
                        self.problems.append(str(fault))

    def read(self):
        with proxy(self.gateway) as g:
            while not self.ending.is_set():
                started = time.monotonic()
                try:
                    g.sql.query("SELECT count(*) FROM event")
                except xmlrpc.client.Fault as fault:
                    self.problems.append(f"a read: {fault}")
                self.read_gaps.append(time.monotonic() - started)

    def test_writes_go_on_by_themselves_and_nothing_acknowledged_is_lost_or_done_twice(self):
        threads = [threading.Thread(target=self.write, args=[i]) for i in range(3)] + [threading.Thread(target=self.read) for _ in range(2)]
        [t.start() for t in threads]
        gaps = []
        try:
            for _ in range(ROUNDS):
                enough = len(self.acknowledged) + 20
                wait_for(lambda: len(self.acknowledged) > enough, "writes to go on")
                old = self.cluster.primary
                self.cluster.kill(old)
                new = max((n for n in range(3) if n != old), key=lambda n: int(self.cluster.sql(n, "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn")))
                self.cluster.promote(new)
                promoted = time.monotonic()
                wait_for(lambda: self.acknowledged[-1][2] > promoted, "the first write after the promotion")
                gaps.append(min(at for _, _, at in self.acknowledged[-200:] if at > promoted) - promoted)
                self.cluster.rejoin(old)
        finally:
            self.ending.set()
            [t.join() for t in threads]
        rows = {tuple(map(int, line.split("|"))) for line in self.cluster.sql(self.cluster.primary, "SELECT worker, id FROM event").split()}
        acknowledged = {(worker, n) for worker, n, _ in self.acknowledged}
        print(f"\n{len(acknowledged)} writes acknowledged, {len(self.unknown)} of unknown outcome; from promotion to the next write "
              f"{statistics.median(gaps) * 1000:.0f} ms (at most {max(gaps) * 1000:.0f}); the slowest read {max(self.read_gaps) * 1000:.0f} ms")
        self.assertEqual(self.problems, [])
        self.assertEqual(acknowledged - rows, set(), "acknowledged, and gone")
        self.assertEqual(rows - acknowledged - set(self.unknown), set(), "there, and never acknowledged or reported as unknown")
        self.assertLess(max(gaps), 1.0)


class OldPrimary(unittest.TestCase):
    def setUp(self):
        self.cluster = postgres.Postgres(fsync=False)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.destroy)
        self.gateway = Gateway(data=self.cluster.url())
        self.addCleanup(self.gateway.stop)
        self.g = proxy(self.gateway)
        self.addCleanup(self.g("close"))
        self.g.sql.execute("CREATE TABLE event(id int PRIMARY KEY)")

    def roles(self):
        return {n["node"].rsplit(":", 1)[1]: n["role"] for n in self.g.sql.topology()["nodes"]}

    def test_one_that_comes_back_is_not_written_to(self):
        self.cluster.kill(0)
        self.cluster.promote(1)
        self.g.sql.execute("INSERT INTO event VALUES (1)")
        self.cluster.start(0)
        wait_for(lambda: self.roles()[str(self.cluster.node_port(0))] == "refused primary", "the old primary to be looked at")
        for i in range(2, 40):
            route = self.g.sql.execute("INSERT INTO event VALUES (?)", [i])["route"]
            self.assertTrue(route["node"].endswith(str(self.cluster.node_port(1))))
            self.assertFalse(self.g.sql.query("SELECT 1")["route"]["node"].endswith(str(self.cluster.node_port(0))))
        self.assertEqual(self.cluster.sql(0, "SELECT count(*) FROM event"), "0")
        # Nor when the new one is away for a while: rather nobody than two histories.
        self.cluster.stop(1)
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            self.g.sql.execute("INSERT INTO event VALUES (99)", [], {"timeout_ms": 800})
        self.assertEqual(caught.exception.faultCode, -32011)
        self.cluster.start(1)
        self.g.sql.execute("INSERT INTO event VALUES (99)")

    def test_a_write_that_the_new_primary_never_had_is_told_to_be_lost(self):
        kept = self.g.sql.execute("INSERT INTO event VALUES (1)")["token"]
        self.cluster.sync()
        [self.cluster.stop(n) for n in (1, 2)]
        lost = self.g.sql.execute("INSERT INTO event VALUES (2)")["token"]
        self.cluster.kill(0)
        [self.cluster.start(n) for n in (1, 2)]
        self.cluster.promote(1)
        wait_for(lambda: self.roles()[str(self.cluster.node_port(1))] == "primary", "the new primary to be known")
        self.assertEqual(self.g.sql.query("SELECT count(*) FROM event", [], {"after": kept})["rows"], [[1]])
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            self.g.sql.query("SELECT count(*) FROM event", [], {"after": lost})
        self.assertEqual(caught.exception.faultCode, -32014)
        self.assertIn("lost in a failover", caught.exception.faultString)
        # A gateway that saw nothing of it knows it too.
        other = Gateway(data=self.cluster.url())
        self.addCleanup(other.stop)
        with proxy(other) as g:
            wait_for(lambda: any(n["role"] == "primary" for n in g.sql.topology()["nodes"]), "the other gateway to find its primary")
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                g.sql.query("SELECT count(*) FROM event", [], {"after": lost})
            self.assertEqual(caught.exception.faultCode, -32014)


if __name__ == "__main__":
    unittest.main()
