"""A MariaDB primary dies, and another takes its place: writes go on there, reads never stop, and nothing that was acknowledged is lost or repeated."""

import os
import sys
import threading
import time
import unittest
import xmlrpc.client

sys.path.append(os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import mariadb
from cases import WRITE_LOST, FaultCase
from failover_traffic import Traffic
from gateway import proxy, serving, wait_for

# Seconds between one caller's writes. Each round a node copies all of them anew, and until it has, a new primary whose only replica it is
# answers no write ("Waiting for semi-sync ACK from slave"): that is MariaDB's time, and not what is measured here.
PACE = 0.01

# An acknowledged write is in a replica's relay log. A replica has none of its own to wait for when it applies.
SEMI_SYNC = """rpl_semi_sync_master_enabled = 1
rpl_semi_sync_slave_enabled = 1
rpl_semi_sync_master_wait_point = AFTER_SYNC
rpl_semi_sync_master_timeout = 10000
rpl_semi_sync_master_wait_no_slave = 0
"""


def received(cluster, node):
    """How far a replica's relay log goes."""
    return int(cluster.slave_status(node)["Gtid_IO_Pos"].rpartition("-")[2] or 0)


class FailoverCase(FaultCase):
    settings = ""

    def setUp(self):
        self.cluster = mariadb.MariaDB(fsync=False, settings=self.settings)
        self.gateways = self.enterContext(serving(self.cluster))

    def roles(self):
        with proxy(self.gateways[0]) as g:
            return {int(n["node"].rpartition(":")[2]) - self.cluster.port: n["role"] if n["state"] != "down" else "down" for n in g.sql.topology()["nodes"]}


class Rounds(FailoverCase):
    settings = SEMI_SYNC

    def test_twenty_primaries_die(self):
        cluster = self.cluster
        with Traffic(self.gateways, PACE) as traffic:
            for _ in range(20):
                traffic.goes_on(5)
                old = cluster.primary
                cluster.sync()  # so that both replicas may acknowledge: see PACE
                cluster.kill(old)
                cluster.promote(max((n for n in range(3) if n != old), key=lambda n: received(cluster, n)))
                traffic.measure(time.monotonic())
                cluster.rejoin(old)
        traffic.check(self, cluster.sql(cluster.primary, "SELECT id FROM event").splitlines())


class Losses(FailoverCase):
    def setUp(self):
        super().setUp()
        with proxy(self.gateways[0]) as g:
            g.sql.execute("CREATE TABLE event(id VARCHAR(100) PRIMARY KEY, round INT)")

    def test_a_lost_write_is_told_as_lost(self):
        cluster = self.cluster
        with proxy(self.gateways[0]) as g:
            kept = g.sql.execute("INSERT INTO event VALUES ('kept', 1)")["token"]
            cluster.sync()
            for node in (1, 2):
                cluster.sql(node, "STOP SLAVE io_thread", database=None)
            lost = g.sql.execute("INSERT INTO event VALUES ('lost', 1)")["token"]
            cluster.kill(0)
            cluster.promote(1)
            after = g.sql.execute("INSERT INTO event VALUES ('after', 1)")["token"]
            count = lambda token, to: to.sql.query("SELECT COUNT(*) FROM event", [], {"after": token})["rows"]
            with proxy(self.gateways[1]) as other:
                for to in (g, other):
                    wait_for(lambda: self.roles()[1] == "primary", "the new primary to be seen")
                    self.assertIn(count(kept, to), ([[1]], [[2]]))
                    self.assertEqual(count(after, to), [[2]])
                    self.assertEqual(self.fault("", count, lost, to), WRITE_LOST)
                    # Nor does the primary do what was to come after it.
                    for call in ((to.sql.execute, "INSERT INTO event VALUES ('more', 1)", []), (to.sql.begin,)):
                        self.assertEqual(self.fault("", *call, {"after": lost}), WRITE_LOST)
                    tx = to.sql.begin({"after": after})
                    self.assertEqual(self.fault("", to.sql.query, "SELECT 1", [], {"tx": tx, "after": lost}), WRITE_LOST)
                    to.sql.rollback(tx)

    def test_an_old_primary_that_comes_back_is_not_written_to(self):
        cluster = self.cluster
        with proxy(self.gateways[0]) as g:
            cluster.kill(0)
            cluster.promote(1)
            g.sql.execute("INSERT INTO event VALUES ('new', 1)")
            cluster.start(0)  # takes writes, as before
            wait_for(lambda: self.roles()[0] == "refused primary", "the old primary to be seen")
            for i in range(50):
                answer = g.sql.execute("INSERT INTO event VALUES (?, 1)", [f"new {i}"])
                self.assertEqual(answer["route"]["node"], f"127.0.0.1:{cluster.node_port(1)}")
                read = g.sql.query("SELECT COUNT(*) FROM event", [], {"after": answer["token"]})
                self.assertEqual(read["rows"], [[i + 2]])
            self.assertEqual(cluster.sql(0, "SELECT COUNT(*) FROM event"), "0")

    def test_a_primary_that_is_demoted_is_left_without_a_write_lost(self):
        """A planned change: read_only first, then the promotion."""
        cluster = self.cluster
        acknowledged, problems, stop = [], [], threading.Event()

        def write():
            with proxy(self.gateways[0]) as g:
                while not stop.is_set():
                    try:
                        g.sql.execute("INSERT INTO event VALUES (?, 1)", [f"w {len(acknowledged)}"])
                        acknowledged.append(len(acknowledged))
                    except xmlrpc.client.Fault as fault:
                        problems.append(str(fault))
                        return

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for node in (1, 0):
                before = len(acknowledged)
                wait_for(lambda: len(acknowledged) > before + 20, "writes to be acknowledged")
                old = cluster.primary
                cluster.sql(old, "SET GLOBAL read_only = 1", database=None)
                cluster.sync()
                cluster.promote(node)
                cluster.follow(old)
            before = len(acknowledged)
            wait_for(lambda: len(acknowledged) > before + 20, "writes to be acknowledged")
        except AssertionError as error:
            raise AssertionError(f"{error}: {problems}") from None
        finally:
            stop.set()
            writer.join()
        self.assertEqual(problems, [])
        self.assertEqual(cluster.sql(cluster.primary, "SELECT COUNT(*) FROM event"), str(len(acknowledged)))


if __name__ == "__main__":
    unittest.main()
