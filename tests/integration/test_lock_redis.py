"""lock.* on a real Redis that keeps nothing on disk: the store's own suite, two gateways on one server, lost data, a frozen server."""

import contextlib
import os
import sys
import tempfile
import time
import unittest
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import lock_cases  # noqa: E402
from cases import run_suite  # noqa: E402
from gateway import Gateway, wait_for  # noqa: E402
from lock_cases import Contention, Faults, Sessions, Surface, Time  # noqa: E402, F401
from redis_masters import Redis  # noqa: E402


def config(redis):
    return f'[lock]\nbackend = "redis://{redis.hosts()}"\n'


@contextlib.contextmanager
def one_server():
    with Redis(fsync=False) as redis, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        yield lambda: Gateway(data=os.path.join(folder, "shared.db"), config=config(redis))


lock_cases.world = one_server


class Store(unittest.TestCase):
    def test_conformance(self):
        with Redis(fsync=False) as redis:
            run_suite("lock_redis_suite", SLUICE_REDIS=redis.hosts())


class Losses(unittest.TestCase):
    def setUp(self):
        self.gateways = []
        self.redis = self.enterContext(Redis(fsync=False))
        self.a, self.b = self.gateway(), self.gateway()

    def gateway(self):
        gateway = self.enterContext(Gateway(config=config(self.redis)))
        return self.enterContext(xmlrpc.client.ServerProxy(gateway.url, allow_none=True))

    def listed(self):
        with contextlib.suppress(xmlrpc.client.Fault):
            return [self.a.lock.list(""), self.b.lock.list("")]

    @contextlib.contextmanager
    def lost(self):
        """Around a loss: nobody is let in before the forgotten lease has ended, and tokens rise."""
        held = self.a.lock.acquire("x", {"ttl_ms": 3000})
        ends = time.monotonic() + 3
        yield
        with self.assertRaises(xmlrpc.client.Fault):
            self.b.lock.acquire("x", {"wait_ms": 500})
        wait_for(lambda: self.listed(), "the server to be reached again")
        with self.assertRaisesRegex(xmlrpc.client.Fault, "lost data, or may have"):
            self.b.lock.acquire("x")
        self.assertFalse(self.a.lock.renew(held, 3000)["ok"])
        got = self.b.lock.acquire("x", {"wait_ms": 15000, "ttl_ms": 3000})
        self.assertTrue(got["granted"])
        self.assertGreaterEqual(time.monotonic(), ends)
        self.assertGreater(int(got["token"]), int(held["token"]))
        self.assertGreater(int(got["token"]) >> 48, int(held["token"]) >> 48)
        self.assertTrue(self.b.lock.release(got)["ok"])

    def test_a_server_that_was_emptied(self):
        with self.lost():
            self.redis.do(0, "flushall")

    def test_a_server_that_was_killed(self):
        with self.lost():
            self.redis.kill(0)
            self.redis.start(0)

    def test_a_newcomer_that_knows_nothing_is_the_first_after_a_loss(self):
        held = self.a.lock.acquire("x", {"ttl_ms": 20000})
        self.redis.do(0, "flushall")
        newcomer = self.gateway()
        newcomer.lock.acquire("y", {"wait_ms": 500})
        with self.assertRaisesRegex(xmlrpc.client.Fault, "lost data, or may have"):
            self.a.lock.acquire("x")
        with self.assertRaisesRegex(xmlrpc.client.Fault, "lost data, or may have"):
            newcomer.lock.acquire("x", {"wait_ms": 100})
        forced = self.a.lock.force_release("x", "to see its token")
        self.assertGreater(int(forced["token"]), int(held["token"]))

    def test_a_server_that_writes_everything_down_loses_nothing(self):
        with Redis(fsync=True) as redis, Gateway(config=config(redis)) as gateway, xmlrpc.client.ServerProxy(gateway.url, allow_none=True) as g:
            held = g.lock.acquire("x", {"ttl_ms": 60000, "owner": "me"})
            redis.kill(0)
            redis.start(0)
            self.assertEqual(g.lock.acquire("x", {"wait_ms": 3000})["holder"], "me")
            self.assertTrue(g.lock.release(held)["ok"])
            self.assertTrue(g.lock.acquire("x", {"wait_ms": 3000})["granted"])

    def test_a_frozen_server_hangs_nobody(self):
        held = self.a.lock.acquire("x")
        self.redis.freeze(0)
        try:
            for wait in (0, 1500, 0):
                started = time.monotonic()
                with self.assertRaises(xmlrpc.client.Fault):
                    self.b.lock.acquire("y", {"wait_ms": wait})
                self.assertLess(time.monotonic() - started, max(wait / 1000, 1) + 1)
        finally:
            self.redis.thaw(0)
        # What was asked meanwhile is taken back, though the server reads it now.
        started = time.monotonic()
        got = self.a.lock.acquire("y", {"wait_ms": 5000})
        self.assertTrue(got["granted"])
        self.assertLess(time.monotonic() - started, 5)
        self.assertTrue(self.a.lock.release(held)["ok"])

    def test_a_dead_server_is_told_of_at_once_and_found_again(self):
        self.redis.kill(0)
        started = time.monotonic()
        with self.assertRaisesRegex(xmlrpc.client.Fault, "Redis at 127.0.0.1:"):
            self.a.lock.acquire("x")
        self.assertLess(time.monotonic() - started, 2.5)
        self.redis.start(0)
        self.assertTrue(self.a.lock.acquire("x", {"wait_ms": 15000})["granted"])


if __name__ == "__main__":
    unittest.main()
