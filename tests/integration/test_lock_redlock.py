"""lock.* on three real Redis masters that vote: the store's own suite, two gateways, masters that are killed, frozen and emptied."""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

for folder in ("tests/clusters", "tests/chaos"):
    sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], folder))

import lock_cases  # noqa: E402
from cases import run_suite  # noqa: E402
from gate import Gate  # noqa: E402
from gateway import SLUICE, Gateway, wait_for  # noqa: E402
from lock_cases import Contention, Faults, Sessions, Surface, Time  # noqa: E402, F401
from redis_masters import Redis  # noqa: E402


def masters(fsync):
    return Redis(replicas=2, fsync=fsync)


def config(redis):
    return f'[lock]\nbackend = "redlock://{redis.hosts()}"\n'


@contextlib.contextmanager
def three_servers():
    with masters(fsync=True) as redis, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        yield lambda: Gateway(data=os.path.join(folder, "shared.db"), config=config(redis))


lock_cases.world = three_servers


class Store(unittest.TestCase):
    def test_conformance(self):
        with masters(fsync=False) as redis:
            run_suite("lock_redis_suite", SLUICE_REDIS=redis.hosts())

    def test_how_many_masters(self):
        for hosts in ("127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2", ",".join(f"127.0.0.1:{port}" for port in range(1, 5))):
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                served = subprocess.run([SLUICE, "serve", "--data", f"{folder}/test.db"], env=dict(os.environ, SLUICE_LOCK_BACKEND=f"redlock://{hosts}"),
                                        capture_output=True, text=True, timeout=20)
            self.assertNotEqual(served.returncode, 0)
            self.assertIn("lock.backend: redlock:// takes an odd number of masters, three or more, not", served.stderr)


class MastersCase(unittest.TestCase):
    fsync = True  # they forget nothing when they are started again

    def setUp(self):
        self.redis = self.enterContext(masters(self.fsync))
        self.gateways = [self.enterContext(Gateway(config=config(self.redis))) for _ in range(2)]
        self.a, self.b = (self.enterContext(xmlrpc.client.ServerProxy(gateway.url, allow_none=True)) for gateway in self.gateways)
        self.last = 0

    def pair(self, g, name="x", **options):
        """Takes and releases a lock; its token is higher than all before."""
        lease = g.lock.acquire(name, options)
        self.assertTrue(lease["granted"], lease)
        self.assertGreater(int(lease["token"]), self.last)
        self.last = int(lease["token"])
        self.assertEqual(g.lock.release(lease), {"ok": True, "reason": "", "count": 0})

    def held_everywhere(self):
        """A lease that all three masters know of: the first acquire of a gateway does not wait for the slowest connection."""
        lease = self.a.lock.acquire("held", {"ttl_ms": 60000})
        self.given_to_all(lease)
        return lease

    def given_to_all(self, lease):
        owner, key = f"o{lease['owner']}", f"sluice:redlock:{lease['name']}"

        def everywhere():
            self.assertTrue(self.a.lock.renew(lease, 60000)["ok"])
            return all(owner in self.redis.do(node, "hkeys", key).split() for node in range(3))

        wait_for(everywhere, "all to have it")

    def voters(self, *nodes):
        """Waits until these masters vote again, at both gateways."""
        for number, g in enumerate((self.a, self.b)):
            for node in nodes:
                wait_for(lambda: self.votes(g, f"voter {number}", node), f"master {node} to vote", 30)

    def votes(self, g, name, node):
        with contextlib.suppress(xmlrpc.client.Fault):
            lease = g.lock.acquire(name, {"owner": name})
            voted = lease["granted"] and f"o{name}" in self.redis.do(node, "hkeys", f"sluice:redlock:{name}").splitlines()
            g.lock.release(lease)
            return voted
        return False

    def undisturbed(self, turns):
        """Until the contenders have had so many turns more, or a second has passed."""
        until, goal = time.monotonic() + 1, len(self.tokens) + turns
        while time.monotonic() < until and len(self.tokens) < goal:
            time.sleep(0.01)

    def contend(self, disturb):
        self.tokens, self.inside, problems = [], 0, []
        over = threading.Event()

        def work(n):
            with xmlrpc.client.ServerProxy(self.gateways[n % 2].url, allow_none=True) as g:
                while not over.is_set():
                    try:
                        lease = g.lock.acquire("contended", {"wait_ms": 3000, "ttl_ms": 5000, "owner": f"worker {n}"})
                    except xmlrpc.client.Fault:
                        continue
                    if not lease["granted"]:
                        continue
                    self.inside += 1
                    if self.inside != 1:
                        problems.append(f"{self.inside} holders at once")
                    if self.tokens and int(lease["token"]) <= self.tokens[-1]:
                        problems.append(f"{lease['token']} after {self.tokens[-1]}")
                    self.tokens.append(int(lease["token"]))
                    time.sleep(0.001)
                    self.inside -= 1
                    with contextlib.suppress(xmlrpc.client.Fault):
                        g.lock.release(lease)

        workers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for worker in workers:
            worker.start()
        try:
            disturb()
        finally:
            over.set()
            for worker in workers:
                worker.join()
        self.assertEqual(problems, [])
        self.assertGreater(len(self.tokens), 50)


class Nodes(MastersCase):
    def test_one_that_is_dead_stops_nothing(self):
        held = self.held_everywhere()
        self.assertTrue(held["fenced"])
        for node in range(3):
            self.redis.kill(node)
            for g in (self.a, self.b) * 5:
                self.pair(g)
            self.assertTrue(self.b.lock.renew(held, 60000)["ok"])
            self.assertEqual(self.b.lock.acquire("held")["holder"], held["owner"])
            self.redis.start(node)
            self.voters(0, 1, 2)
        self.assertTrue(self.b.lock.check(held)["held"])
        self.assertTrue(self.b.lock.release(held)["ok"])

    def test_masters_that_begin_together_begin_alike(self):
        """Else they would not agree about their first tokens, and an owner who re-enters meanwhile could be given another."""
        self.held_everywhere()
        self.assertEqual([self.redis.do(node, "hget", "sluice:redlocks", "epoch") for node in range(3)], ["1"] * 3)

    def test_one_that_stands_still_keeps_nobody_waiting(self):
        held = self.held_everywhere()
        self.pair(self.b)
        self.redis.freeze(1)
        took = []
        for g in (self.a, self.b) * 100:
            started = time.monotonic()
            self.pair(g)
            took.append(time.monotonic() - started)
        self.assertLess(sorted(took)[-10], 0.1)  # a busy machine may hold up a few
        started = time.monotonic()
        self.assertFalse(self.b.lock.acquire("held")["granted"])
        self.assertTrue(self.b.lock.renew(held, 60000)["ok"])
        self.assertTrue(self.a.lock.release(held)["ok"])
        self.assertLess(time.monotonic() - started, 0.4)
        self.redis.thaw(1)
        self.voters(1)
        self.redis.kill(0)  # now the one that slept decides, and keeps nothing that was released meanwhile
        self.pair(self.a, "held", wait_ms=2000)
        self.pair(self.b, wait_ms=2000)

    def test_callers_of_both_gateways_meet_while_one_stands_still(self):
        self.redis.freeze(2)
        took, problems = [], []

        def work(gateway, owner):
            with xmlrpc.client.ServerProxy(gateway.url, allow_none=True) as g:
                for _ in range(30):
                    started = time.monotonic()
                    try:
                        lease = g.lock.acquire("x", {"wait_ms": 5000, "owner": owner})
                        took.append(time.monotonic() - started)
                        if not lease["granted"] or not g.lock.release(lease)["ok"]:
                            problems.append(lease)
                    except xmlrpc.client.Fault as fault:
                        problems.append(fault.faultString)

        workers = [threading.Thread(target=work, args=(self.gateways[i], f"owner {i}")) for i in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        self.redis.thaw(2)
        self.assertEqual(problems, [])
        self.assertLess(sorted(took)[len(took) // 2], 0.1)

    def test_two_that_are_dead_grant_nothing(self):
        held = self.held_everywhere()
        self.pair(self.b)
        for node in (0, 1):
            self.redis.kill(node)
        for g, wait in ((self.a, 0), (self.b, 700)):
            started = time.monotonic()
            with self.assertRaisesRegex(xmlrpc.client.Fault, "too few of the 3 Redis masters agree: .*127.0.0.1:"):
                g.lock.acquire("x", {"wait_ms": wait})
            self.assertLess(time.monotonic() - started, wait / 1000 + 0.5)
        with self.assertRaises(xmlrpc.client.Fault):
            self.a.lock.renew(held, 60000)
        # What the third granted was taken back.
        wait_for(lambda: not any(field.startswith("o") for field in self.redis.do(2, "hkeys", "sluice:redlock:x").split()), "the third to be free")
        for node in (0, 1):
            self.redis.start(node)
        started = time.monotonic()
        self.pair(self.a, wait_ms=5000)
        self.pair(self.b, wait_ms=5000)
        self.assertLess(time.monotonic() - started, 5)
        self.assertTrue(self.b.lock.check(held)["held"])

    def test_counted_locks_need_every_one_of_three(self):
        self.redis.kill(0)
        with self.assertRaisesRegex(xmlrpc.client.Fault, "too few"):
            self.a.lock.acquire("x", {"permits": 2})
        self.pair(self.a, mode="shared")

    def test_an_owner_reenters_though_other_masters_answer(self):
        self.redis.freeze(2)
        leases = [self.a.lock.acquire("x", {"owner": "me"})]
        self.redis.kill(0)
        self.redis.thaw(2)
        self.voters(2)
        leases.append(self.b.lock.acquire("x", {"owner": "me", "wait_ms": 2000}))
        self.redis.start(0)
        self.voters(0, 1, 2)
        leases.append(self.a.lock.acquire("x", {"owner": "me", "wait_ms": 2000}))
        self.assertEqual([lease["count"] for lease in leases], [1, 2, 3])
        self.assertEqual(len({lease["token"] for lease in leases}), 1)
        self.assertEqual([self.b.lock.release(leases[0])["count"] for _ in range(2)], [2, 1])
        for g in (self.a, self.b):
            self.assertEqual(g.lock.acquire("x")["holder"], "me")
        self.assertEqual(self.a.lock.release(leases[0])["count"], 0)
        self.last = int(leases[0]["token"])
        self.pair(self.b, wait_ms=2000)

    def test_never_two_holders_while_masters_come_and_go(self):
        chance = random.Random(4)

        def disturb():
            for _ in range(8):
                node = chance.randrange(3)
                if chance.random() < 0.6:
                    self.redis.kill(node)
                    self.undisturbed(20)
                    self.redis.start(node)
                else:
                    self.redis.freeze(node)
                    self.undisturbed(20)
                    self.redis.thaw(node)
                self.undisturbed(20)

        self.contend(disturb)


class Late(unittest.TestCase):
    """What A says to the third master, and B to the first, goes through gates."""

    def setUp(self):
        self.redis = self.enterContext(masters(fsync=False))
        direct = [f"127.0.0.1:{self.redis.node_port(node)}" for node in range(3)]
        self.gates = [self.enterContext(Gate(self.redis.node_port(node))) for node in (2, 0)]
        through = [f"127.0.0.1:{gate.port}" for gate in self.gates]
        hosts = (f"{direct[0]},{direct[1]},{through[0]}", f"{through[1]},{direct[1]},{direct[2]}")
        gateways = [self.enterContext(Gateway(config=f'[lock]\nbackend = "redlock://{each}"\n')) for each in hosts]
        self.a, self.b = (self.enterContext(xmlrpc.client.ServerProxy(gateway.url, allow_none=True)) for gateway in gateways)
        for g in (self.a, self.b) * 3:  # all masters know the name, and all are met
            self.assertTrue(g.lock.release(g.lock.acquire("x", {"wait_ms": 5000}))["ok"])

    def acquire(self, g):
        lease = g.lock.acquire("x", {"owner": "me", "wait_ms": 5000})
        self.assertTrue(lease["granted"], lease)
        return lease

    def held_by_me(self):
        for g in (self.a, self.b):
            self.assertEqual(g.lock.acquire("x", {"owner": "other"})["holder"], "me")

    def free(self):
        for g in (self.a, self.b):
            self.assertTrue(g.lock.release(g.lock.acquire("x", {"owner": "other", "wait_ms": 5000}))["ok"])

    def test_an_entry_that_was_given_back_is_not_counted_with_the_next(self):
        """The third master reads both entries after it has heard the first one's release; the second master does not vote."""
        for _ in range(3):
            self.gates[0].freeze()
            first = self.acquire(self.a)
            self.assertEqual(self.b.lock.release(first)["count"], 0)
            self.redis.freeze(1)
            thaw = threading.Timer(0.02, self.gates[0].thaw)
            thaw.start()
            try:
                second = self.acquire(self.a)
            finally:
                thaw.join()
                self.redis.thaw(1)
            self.assertEqual(second["count"], 1)
            self.assertGreater(int(second["token"]), int(first["token"]))
            self.assertEqual(self.b.lock.release(second), {"ok": True, "reason": "", "count": 0})
            self.free()

    def test_no_two_masters_have_the_same_entries(self):
        """Entries that were granted by different masters: each is given back by its own, and none with another."""
        def missing(gate, g):
            gate.freeze()
            lease = self.acquire(g)
            gate.drop_all()
            gate.thaw()
            return lease

        leases = [missing(self.gates[0], self.a), missing(self.gates[1], self.b)]
        self.assertEqual([lease["count"] for lease in leases], [1, 2])
        self.assertEqual(self.b.lock.release(leases[0])["count"], 1)
        self.held_by_me()
        leases.append(self.acquire(self.a))
        self.assertEqual(leases[2]["count"], 2)
        self.assertEqual(len({lease["token"] for lease in leases}), 1)
        self.assertEqual(self.a.lock.release(leases[0])["count"], 1)
        self.held_by_me()
        self.assertEqual(self.b.lock.release(leases[0])["count"], 0)
        self.assertFalse(self.a.lock.release(leases[0])["ok"])
        self.free()


class Losses(MastersCase):
    fsync = False  # a crash loses all

    def test_one_that_was_emptied_does_not_vote_before_what_it_forgot_has_ended(self):
        """The way to two holders: A has the votes of 0 and 1; 1 forgets; B gets 2, and 1 must not say yes."""
        self.redis.freeze(2)
        held = self.a.lock.acquire("x", {"ttl_ms": 3000})
        ends = time.monotonic() + 3
        self.assertEqual((held["granted"], held["fenced"]), (True, False))
        self.redis.kill(1)
        self.redis.start(1)
        self.redis.thaw(2)
        self.redis.do(2, "del", "sluice:redlock:x")  # as if A's request had never reached it
        with contextlib.suppress(xmlrpc.client.Fault):
            self.assertFalse(self.b.lock.acquire("x")["granted"])
        self.assertEqual(self.redis.do(1, "hkeys", "sluice:redlock:x"), "")
        got = self.b.lock.acquire("x", {"wait_ms": 15000})
        self.assertTrue(got["granted"])
        self.assertGreaterEqual(time.monotonic(), ends - 0.1)
        self.assertGreater(int(got["token"]), int(held["token"]))
        self.assertEqual(self.a.lock.release(held)["reason"], "lost")
        self.assertTrue(self.b.lock.release(got)["ok"])
        # Nor does it for another name, with a majority in sight.
        self.redis.kill(0)
        with self.assertRaisesRegex(xmlrpc.client.Fault, "lost data, or may have"):
            self.b.lock.acquire("y")
        started = time.monotonic()
        self.last = int(got["token"])
        self.pair(self.b, wait_ms=15000)
        self.assertGreater(time.monotonic() - started, 0.5)

    def test_a_renewal_gives_the_lease_to_one_that_forgot_it(self):
        lease = self.held_everywhere()
        for node in (0, 1):  # one after the other: without the renewal between, two would have forgotten it
            self.redis.kill(node)
            self.redis.start(node)
            self.given_to_all(lease)
        self.assertTrue(self.b.lock.check(lease)["held"])
        self.assertTrue(self.b.lock.release(lease)["ok"])

    def test_tokens_rise_and_never_two_hold_while_masters_forget(self):
        def disturb():
            for node in (0, 1, 2):
                self.redis.kill(node)
                self.undisturbed(20)
                self.redis.start(node)
                self.voters(node)

        self.contend(disturb)


if __name__ == "__main__":
    unittest.main()
