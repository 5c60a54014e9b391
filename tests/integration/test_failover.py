"""Primaries die, replicas are promoted: writes go on by themselves, reads never stop, nothing acknowledged is lost or done twice."""

import os
import sys
import time
import unittest

sys.path.append(os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import postgres
from cases import DEADLINE, WRITE_LOST, FaultCase
from failover_traffic import Traffic
from gateway import Gateway, proxy, serving, wait_for

ROUNDS = 20


class Failover(unittest.TestCase):
    def test_writes_go_on_by_themselves_and_nothing_acknowledged_is_lost_or_done_twice(self):
        # A replica that is promoted must have what was acknowledged: the tests are of the gateway, not of asynchronous replication.
        cluster = postgres.Postgres(fsync=False, settings="synchronous_standby_names = 'ANY 1 (node0, node1, node2)'\n")
        with serving(cluster) as gateways:
            with Traffic(gateways) as traffic:
                for _ in range(ROUNDS):
                    traffic.goes_on()
                    old = cluster.primary
                    cluster.kill(old)
                    cluster.promote(cluster.heir())
                    traffic.measure(time.monotonic())
                    cluster.rejoin(old)
            traffic.check(self, cluster.sql(cluster.primary, "SELECT id FROM event").splitlines())


class WithoutPrimary(unittest.TestCase):
    def test_replicas_that_lack_its_last_write_serve_reads_however_long_the_election_takes(self):
        cluster = postgres.Postgres(fsync=False)
        limit = 0.5  # seconds that a replica may be behind
        with cluster, Gateway(data=cluster.url(), config=f'[database.main]\nurl = "{cluster.url()}"\nmax_lag_ms = {limit * 1000:.0f}\n') as gateway, proxy(gateway) as g:
            created = g.sql.execute("CREATE TABLE event(id int PRIMARY KEY)")["token"]
            cluster.sync()
            [cluster.pause(n) for n in (1, 2)]
            g.sql.execute("INSERT INTO event VALUES (1)")
            cluster.kill(0)
            # Until they would have been too far behind three times over.
            until = time.monotonic() + 3 * limit
            while time.monotonic() < until:
                answer = g.sql.query("SELECT count(*) FROM event", [], {"after": created, "timeout_ms": 1000})
                self.assertEqual((answer["rows"], answer["route"]["role"]), ([[0]], "replica"))


    def test_one_that_was_demoted_before_another_is_promoted_holds_up_no_reads(self):
        cluster = postgres.Postgres(fsync=False)
        with serving(cluster, 1) as [gateway], proxy(gateway) as g:
            written = g.sql.execute("CREATE TABLE event(id int PRIMARY KEY)")["token"]
            cluster.sync()
            cluster.stop(0)
            cluster.make_standby(0, of=1)
            cluster.start(0)
            wait_for(lambda: all((n["state"], n["role"]) == ("up", "replica") for n in g.sql.topology()["nodes"]), "the gateway to see three replicas")
            # Longer than a token is thought about whose history no primary tells.
            until = time.monotonic() + 1
            while time.monotonic() < until:
                self.assertEqual(g.sql.query("SELECT count(*) FROM event", [], {"after": written, "timeout_ms": 1000})["rows"], [[0]])
            cluster.promote(1)
            g.sql.execute("INSERT INTO event VALUES (1)")


class OldPrimary(FaultCase):
    def setUp(self):
        self.cluster = postgres.Postgres(fsync=False)
        [gateway] = self.enterContext(serving(self.cluster, 1))
        self.g = self.enterContext(proxy(gateway))
        self.g.sql.execute("CREATE TABLE event(id int PRIMARY KEY)")

    def roles(self):
        return {n["node"].rsplit(":", 1)[1]: n["role"] for n in self.g.sql.topology()["nodes"]}

    def test_one_that_comes_back_is_not_written_to(self):
        self.cluster.sync()
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
        self.assertEqual(self.fault("", self.g.sql.execute, "INSERT INTO event VALUES (99)", [], {"timeout_ms": 800}), DEADLINE)
        self.cluster.start(1)
        self.g.sql.execute("INSERT INTO event VALUES (99)")

    def test_who_finds_no_primary_in_time_is_told_of_each_node(self):
        self.cluster.kill(0)
        wait_for(lambda: self.g.sql.topology()["nodes"][0]["state"] == "down", "the primary to be missed")
        code = self.fault(f"no primary to write to was found for the database main within 400 ms (127.0.0.1:{self.cluster.node_port(0)}: ", self.g.sql.execute, "INSERT INTO event VALUES (1)", [], {"timeout_ms": 400})
        self.assertEqual(code, DEADLINE)

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
        self.assertEqual(self.fault("lost in a failover", self.g.sql.query, "SELECT count(*) FROM event", [], {"after": lost}), WRITE_LOST)
        # Nor does the primary do what was to come after it.
        for call in ((self.g.sql.execute, "INSERT INTO event VALUES (3)", []), (self.g.sql.query, "SELECT pg_advisory_xact_lock(1)", []), (self.g.sql.batch, [["INSERT INTO event VALUES (3)"]]), (self.g.sql.begin,)):
            self.assertEqual(self.fault("lost in a failover", *call, {"after": lost}), WRITE_LOST)
        tx = self.g.sql.begin({"after": kept})
        self.assertEqual(self.fault("lost in a failover", self.g.sql.query, "SELECT 1", [], {"tx": tx, "after": lost}), WRITE_LOST)
        self.assertEqual(self.g.sql.execute("INSERT INTO event VALUES (3)", [], {"tx": tx, "after": kept})["affected"], 1)
        self.g.sql.commit(tx)
        self.assertEqual(self.g.sql.execute("DELETE FROM event WHERE id = 3", [], {"after": kept})["affected"], 1)
        # A gateway that saw nothing of it knows it too.
        with Gateway(data=self.cluster.url()) as other, proxy(other) as g:
            wait_for(lambda: any(n["role"] == "primary" for n in g.sql.topology()["nodes"]), "the other gateway to find its primary")
            self.assertEqual(self.fault("lost in a failover", g.sql.query, "SELECT count(*) FROM event", [], {"after": lost}), WRITE_LOST)

    def test_a_token_from_before_several_failovers_is_good_at_any_gateway(self):
        """The role may not read the server's history files: the gateways keep what they saw in the database."""
        first = self.g.sql.execute("INSERT INTO event VALUES (1)")["token"]
        count = lambda g: g.sql.query("SELECT count(*) FROM event", [], {"after": first, "timeout_ms": 3000})["rows"]
        for new in (1, 2, 0):
            self.cluster.sync()
            old = self.cluster.primary
            self.cluster.kill(old)
            self.cluster.promote(new)
            self.g.sql.execute("INSERT INTO event VALUES (?)", [new + 10])
            self.cluster.rejoin(old)
        self.assertEqual(self.cluster.sql(0, "SELECT timeline FROM sluice_timelines ORDER BY 1").split(), ["1", "2", "3"])
        with Gateway(data=self.cluster.url()) as other, proxy(other) as g:
            for each in (self.g, g):
                self.assertEqual(count(each), [[4]])
            self.cluster.stop(0)  # which forgets what its replay told
            self.cluster.start(0)
            self.cluster.freeze(0)
            try:
                for each in (self.g, g):
                    self.assertEqual(count(each), [[4]])
            finally:
                self.cluster.thaw(0)


if __name__ == "__main__":
    unittest.main()
