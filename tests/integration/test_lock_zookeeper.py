"""lock.* on a real ZooKeeper ensemble: the store's own suite, two gateways on three servers, and servers that die."""

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import lock_cases  # noqa: E402
from cases import run_suite  # noqa: E402
from gateway import Gateway, wait_for  # noqa: E402
from lock_cases import Contention, Faults, LockCase, Sessions, Surface, Time, try_lock  # noqa: E402, F401
from zookeeper_nodes import ZooKeeper  # noqa: E402


def url(cluster, hosts=None):
    return f"zookeeper://{hosts or cluster.hosts()}/test/sluice"


@contextlib.contextmanager
def one_ensemble():
    global ensemble
    with ZooKeeper(replicas=2, fsync=False) as ensemble, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        yield lambda: Gateway(data=os.path.join(folder, "shared.db"), config=f'[lock]\nbackend = "{url(ensemble)}"\n')


lock_cases.world = one_ensemble
lock_cases.slack = 20  # three virtual machines of Java's, each with threads that clean and compile
lock_cases.lease_ms = 3000


def setUpModule():  # for the classes below: those of lock_cases have been through when these begin
    lock_cases.setUpModule()


class WithoutAGateway(unittest.TestCase):
    def test_conformance(self):
        run_suite("lock_zookeeper_suite", SLUICE_ZOOKEEPER=url(ensemble))


class AtTheLeader(LockCase):
    def test_a_lease_from_a_follower_is_known(self):
        """The leader tells its followers what is committed, and serves readers, before it has that itself."""
        leader = ensemble.leader()
        with contextlib.ExitStack() as stack:
            there, elsewhere = (self.gateway_at(stack, node) for node in (leader, (leader + 1) % 3))
            until = time.monotonic() + 4
            while time.monotonic() < until:
                lease = elsewhere.lock.acquire(self.name, {"wait_ms": 5000})
                self.assertTrue(there.lock.check(lease)["held"])
                self.assertEqual(there.lock.release(lease), {"ok": True, "reason": "", "count": 0})

    def gateway_at(self, stack, node):
        config = f'[lock]\nbackend = "{url(ensemble, f"127.0.0.1:{ensemble.node_port(node)}")}"\n'
        return stack.enter_context(xmlrpc.client.ServerProxy(stack.enter_context(Gateway(config=config)).url))


class WhenServersDie(LockCase):
    def test_the_leader_is_killed_while_locks_are_held_and_waited_for(self):
        held = self.a.lock.acquire(self.name, {"owner": "me", "ttl_ms": 60000})
        got, turns, stop = [], [], threading.Event()
        waiter = threading.Thread(target=self.wait_for_it, args=[got])
        busy = threading.Thread(target=self.take_turns, args=(turns, stop))
        waiter.start()
        busy.start()
        wait_for(lambda: len(turns) > 20 and self.b.lock.info(self.name)["waiters"] == 1, "turns and a waiter")
        leader = ensemble.leader()
        ensemble.kill(leader)
        killed = time.monotonic()
        for g in (self.a, self.b):
            self.assertTrue(g.lock.acquire(f"{self.name}.{g is self.a}", {"wait_ms": 15000})["granted"])
        self.assertLess(time.monotonic() - killed, 15)
        self.assertTrue(self.a.lock.renew(held, 60000)["ok"])
        self.assertFalse(try_lock(self.b, self.name)["granted"])
        self.assertEqual(self.a.lock.acquire(self.name, {"owner": "me"})["token"], held["token"])
        self.assertEqual([self.a.lock.release(held)["count"] for _ in range(2)], [1, 0])
        waiter.join()
        self.assertGreater(int(got[0]["token"]), int(held["token"]))
        before = len(turns)
        wait_for(lambda: len(turns) > before + 20, "turns after the election")
        stop.set()
        busy.join()
        self.assertEqual(turns, sorted(set(turns)))
        ensemble.start(leader)

    def wait_for_it(self, got):
        with lock_cases.proxy(1) as g:
            got.append(g.lock.acquire(self.name, {"wait_ms": 20000}))

    def take_turns(self, turns, stop):
        with lock_cases.proxy(0) as a, lock_cases.proxy(1) as b:
            while not stop.is_set():
                for g in (a, b):
                    with contextlib.suppress(xmlrpc.client.Fault):  # while there is no leader
                        lease = g.lock.acquire(f"{self.name}.turns", {"wait_ms": 2000, "ttl_ms": 1000})
                        if lease["granted"]:
                            turns.append(int(lease["token"]))
                            g.lock.release(lease)

    def test_without_a_quorum_nothing_is_granted_and_nothing_is_forgotten(self):
        held = self.a.lock.acquire(self.name, {"ttl_ms": 60000})
        for node in (0, 1):
            ensemble.kill(node)
        try:
            with self.takes(0.9, 10):
                code = self.fault("", self.b.lock.acquire, f"{self.name}.other", {"wait_ms": 1000})
            self.assertIn(code, (-32012, -32013))  # unavailable, outcome_unknown
        finally:
            for node in (0, 1):
                ensemble.launch(node)
            for node in (0, 1):
                ensemble.ready(node)
        wait_for(lambda: self.answers(), "the ensemble to serve again")
        self.assertFalse(try_lock(self.b, self.name)["granted"])
        self.assertTrue(self.b.lock.release(held)["ok"])
        self.assertGreater(int(self.b.lock.acquire(self.name)["token"]), int(held["token"]))

    def answers(self):
        with contextlib.suppress(xmlrpc.client.Fault):
            return self.b.lock.info(self.name)["holders"]

    def test_a_gateway_whose_session_ended_goes_on(self):
        gateway = lock_cases.start()
        with xmlrpc.client.ServerProxy(gateway.url) as g:
            lease = g.lock.acquire(self.name, {"ttl_ms": 60000})
            gateway.process.send_signal(signal.SIGSTOP)
            try:
                time_out = time.monotonic() + 5  # the sessions' 3 s and what the leader takes to notice
                answers = []
                while time.monotonic() < time_out:
                    with contextlib.suppress(xmlrpc.client.Fault):  # of thousands one may be late
                        answers.append(try_lock(self.a, self.name)["granted"])
                self.assertEqual(set(answers), {False})
                self.assertGreater(len(answers), 20)
            finally:
                gateway.process.send_signal(signal.SIGCONT)
            wait_for(lambda: self.renewed(g, lease), "the gateway to have a new session")
            self.assertTrue(g.lock.release(lease)["ok"])
        gateway.stop()

    def renewed(self, g, lease):
        with contextlib.suppress(xmlrpc.client.Fault):
            return g.lock.renew(lease, 60000)["ok"]


if __name__ == "__main__":
    unittest.main()
