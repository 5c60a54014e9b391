"""What id.* must do through real gateways on one store, whichever that is: ids that never repeat and rise, whatever happens to gateways,
clocks and the store.

A test file for a store imports these cases and sets `world`: a context manager that gives a World.
SLUICE_ID_BLOCKS says how many blocks of 10,000 each of the four gateways of the torture gives at least; 250 are ten millions.
"""

import contextlib
import glob
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))
from cases import FaultCase  # noqa: E402
from gateway import Gateway, proxy, wait_for  # noqa: E402
from zerorpc_client import Client, RemoteError  # noqa: E402

BLOCKS = int(os.environ.get("SLUICE_ID_BLOCKS", "250"))
QUICK = "window_ms = 600\nlease_ms = 1500\n"

world = None


def configured(more, backend=None):
    """The section [id] of a gateway's configuration."""
    if "wait_ms" not in more:
        more += "wait_ms = 10000\n"  # four gateways' marks on one slow disk
    return "[id]\n" + (f'backend = "{backend}"\n' if backend else "") + QUICK + more


class World:
    """A store in a server, and gateways on it. `cluster` is one of tests/clusters."""

    shares = True  # worker ids are leased, and there are tags and sequences

    def __init__(self, cluster, backend="database:main", data=None):
        self.cluster, self.backend, self.data = cluster, backend, data

    def gateway(self, more="", environment=None, number=0):
        """`number` tells gateways apart which the configuration must."""
        return Gateway(data=self.data, config=configured(more, self.backend), probe=False, environment=environment)

    @contextlib.contextmanager
    def away(self):
        self.cluster.kill(0)
        try:
            yield
        finally:
            self.cluster.start(0)


def database(start):
    """The world of a database's cluster."""

    @contextlib.contextmanager
    def one_server():
        with start() as cluster:
            yield World(cluster, data=cluster.url())

    return one_server


def setUpModule():
    global store, folder
    folder = tempfile.mkdtemp(prefix="sluice-test-")
    unittest.addModuleCleanup(shutil.rmtree, folder)
    if world:
        store = unittest.enterModuleContext(world())


def fresh(name):
    return os.path.join(folder, f"{name}-{random.getrandbits(40)}")


def ids(ranges):
    """The pairs of id.batch(n, {"as": "range"}) as ints."""
    return [(int(first), int(last)) for first, last in ranges]


def answer(server, method="id.next", *arguments):
    """What a gateway answers, or None while it refuses."""
    with contextlib.suppress(xmlrpc.client.Fault):
        return getattr(proxy(server), method)(*arguments)


class IdCase(FaultCase):
    def rises(self, rows):
        for (_, before), (after, _) in zip(rows, rows[1:]):
            self.assertLess(before, after)

    def distinct(self, *all_rows):
        self.rises(sorted(row for rows in all_rows for row in rows))


class Taker(threading.Thread):
    """Takes ids from a gateway in blocks, through kills and restarts, until it has enough and it is told to end."""

    def __init__(self, endpoint, blocks, size=10_000):
        super().__init__(daemon=True)
        self.endpoint, self.blocks, self.size, self.rows, self.errors, self.enough = endpoint, blocks, size, [], 0, threading.Event()
        self.start()

    def run(self):
        while self.blocks > 0 or not self.enough.is_set():
            try:
                with Client(self.endpoint(), timeout=3) as client:
                    self.take(client)
            except Exception:
                self.errors += 1
                time.sleep(0.02)

    def take(self, client):
        while self.blocks > 0 or not self.enough.is_set():
            self.rows += ids(client("id.batch", self.size, {"as": "range"}))
            self.blocks -= 1
            if self.blocks <= 0:
                self.enough.wait(0.01)

    def given(self):
        return sum(last - first + 1 for first, last in self.rows)


class Numbers(threading.Thread):
    """Takes numbers of a tag and of a sequence from a gateway, a few at a time, through kills and restarts."""

    def __init__(self, endpoint, tag):
        super().__init__(daemon=True)
        self.endpoint, self.tag, self.segments, self.sequences, self.enough = endpoint, tag, [], [], threading.Event()
        self.start()

    def run(self):
        while not self.enough.is_set():
            with contextlib.suppress(Exception), Client(self.endpoint(), timeout=3) as client:
                while not self.enough.wait(0.02):
                    self.segments += client("id.segment", self.tag, 7, {"as": "int"})
                    self.sequences.append(client("id.sequence", self.tag, {"as": "int"}))
            self.enough.wait(0.02)

    def taken(self):
        return min(len(self.segments), len(self.sequences))


class Wall:
    """The wall clock of the gateways that are started with `environment`, by libfaketime."""

    LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
    STEPS = (("-3600", -3600), ("-5", -5), ("+60", 60), ("+0", 0))

    def __init__(self):
        if not self.LIBRARY:
            raise AssertionError("install the package libfaketime")
        self.time = fresh("time")
        self.step("+0")
        self.environment = {"LD_PRELOAD": self.LIBRARY, "FAKETIME_TIMESTAMP_FILE": self.time, "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}

    def step(self, by):
        with open(self.time + ".new", "w") as f:
            f.write(by + "\n")
        os.replace(self.time + ".new", self.time)

    def is_seen(self, server, seconds):
        """Has the gateway read its clock since it was stepped so?"""
        stats = proxy(server).id.stats()
        return abs((int(stats["timestamp"]) - stats["lead_ms"]) / 1000 - time.time() - seconds) < 2


class Server(IdCase):
    def test_what_a_server_keeps(self):
        with store.gateway() as one, store.gateway() as two:
            a, b = proxy(one), proxy(two)
            self.assertEqual(a.id.stats()["store"], b.id.stats()["store"])
            self.assertTrue(a.id.create("kept", {"start": 10, "delta": 5, "remainder": 2, "step": 100})["created"])
            self.assertFalse(b.id.create("kept", {"start": 999})["created"])
            self.assertEqual(a.id.segment("kept", 3), ["12", "17", "22"])
            self.assertGreater(int(b.id.segment("kept")), 22)
            self.assertEqual([int(g.id.sequence("kept")) for g in (a, b, a)], [1, 2, 3])
            self.fault("there is no tag 'nobody'", a.id.segment, "nobody")
            mine, others = ids(a.id.batch(1000, {"as": "range"})), ids(b.id.batch(1000, {"as": "range"}))
            self.distinct(mine, others)
            self.assertNotEqual(a.id.stats()["worker"], b.id.stats()["worker"])

    def test_numbers_end_where_63_bits_do(self):
        with store.gateway() as server:
            g = proxy(server)
            self.assertEqual(g.id.create("far", {"start": str(2**62), "step": 1, "delta": 1_000_000})["next"], str(2**62))
            self.assertEqual(g.id.segment("far", 2), [str(2**62), str(2**62 + 1_000_000)])

    def test_segments_of_two_gateways_never_meet(self):
        with store.gateway() as one, store.gateway() as two:
            proxy(one).id.create("busy", {"step": 50})
            numbers = [[], [], [], []]

            def take(i):
                with Client((one, two)[i % 2].endpoint) as client:
                    for _ in range(2000):
                        numbers[i].append(int(client("id.segment", "busy")))

            threads = [threading.Thread(target=take, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len({n for row in numbers for n in row}), 8000)
            for row in numbers:
                self.assertEqual(row, sorted(row))

    def test_worker_ids_run_out_and_come_back(self):
        spaces = 'spaces = ["few layout=41/1/12"]\n'
        with store.gateway(spaces) as a, store.gateway(spaces) as b, store.gateway(spaces) as c:
            rows = [(int(i), int(i)) for i in (proxy(a).id.next(), proxy(b).id.next())]
            self.fault("all 2 worker ids of the space 'few' are leased", proxy(c).id.next)
            a.kill()
            wait_for(lambda: answer(c), "the worker id of one that was killed")
            rows.append((int(proxy(c).id.next()),) * 2)
            self.assertEqual(proxy(c).id.stats()["worker"], 0)
            self.rises([rows[0], rows[2]])
            self.distinct(rows)

    def test_a_gateway_that_ends_well_gives_its_worker_id_back(self):
        last = 0
        for _ in range(3):
            with store.gateway('spaces = ["one layout=41/0/12"]\n') as server:
                given = int(proxy(server).id.next())
                self.assertGreater(given, last)
                last = given

    def test_another_layout_is_refused(self):
        with store.gateway('spaces = ["wide"]\n') as server:
            proxy(server).id.next()
        with store.gateway('spaces = ["wide layout=41/8/14"]\n') as server:
            self.fault("has the layout 41/10/12 1ms 2025-01-01 in the store", proxy(server).id.next)


class Torture(IdCase):
    """Four gateways give ids all the while; what happens to them and to the store happens one after another."""

    SPACE = 'spaces = ["torture"]\n'

    def test_four_gateways_through_kills_pauses_clock_steps_and_an_outage(self):
        self.wall = Wall()
        with contextlib.ExitStack() as self.stack:
            environments = [None, None, None, self.wall.environment]
            self.servers = [self.start(i, environment) for i, environment in enumerate(environments)]
            self.takers = [Taker(lambda i=i: self.servers[i].endpoint, BLOCKS) for i in range(4)]
            self.numbers = []
            self.stack.callback(self.end)
            if store.shares:
                proxy(self.servers[0]).id.create("torture", {"step": 20})
                self.numbers = [Numbers(lambda i=i: self.servers[i].endpoint, "torture") for i in range(4)]
            self.stolen = []
            self.goes_on("the beginning")
            self.kill()
            self.pause()
            if store.shares:
                with store.away():
                    wait_for(lambda: all(proxy(server).id.stats()["lease_ms"] == 0 for server in self.servers), "the end of all leases, and of all marks before")
                self.goes_on("the outage of the store")
            for by, seconds in Wall.STEPS:
                self.wall.step(by)
                wait_for(lambda: self.wall.is_seen(self.servers[3], seconds), f"the clock stepped by {by}")
                self.goes_on(f"a step of the clock by {by}")
            self.end()
            for taker in self.takers:
                taker.join(120)
                self.assertFalse(taker.is_alive())
                self.rises(taker.rows)
                self.assertGreaterEqual(taker.given(), BLOCKS * 10_000)
            self.distinct(*self.stolen, *(taker.rows for taker in self.takers))
            for kind in ("segments", "sequences"):
                given = [getattr(numbers, kind) for numbers in self.numbers]
                for numbers in given:
                    self.rises([(n, n) for n in numbers])
                self.distinct(*([(n, n) for n in numbers] for numbers in given))

    def start(self, number, environment=None):
        return self.stack.enter_context(store.gateway(f'{self.SPACE}gateway = "g{number}"\n', environment, number))

    def end(self):
        for taker in (*self.takers, *self.numbers):
            taker.enough.set()
        for numbers in self.numbers:
            numbers.join(30)

    def goes_on(self, what):
        """All four give ids and numbers still, or again."""
        had, numbered = [len(taker.rows) for taker in self.takers], [numbers.taken() for numbers in self.numbers]
        wait_for(lambda: all(len(taker.rows) > before + 5 for taker, before in zip(self.takers, had)), f"ids of each gateway after {what}", 60)
        wait_for(lambda: all(numbers.taken() > before for numbers, before in zip(self.numbers, numbered)), f"numbers of each gateway after {what}", 60)

    def kill(self):
        self.servers[0].kill()
        self.servers[0] = self.start(0)
        self.goes_on("a kill")

    def pause(self):
        paused = self.servers[1]
        lost = proxy(paused).id.stats()["worker"]
        paused.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            # Once the leases of the killed and the paused one have ended, their worker ids are others'.
            wait_for(lambda: time.monotonic() > stopped + 1.6, "the end of a lease")
            # The lowest free one is taken each time: another gateway may have left one when it was kept waiting.
            workers = [] if store.shares else [lost]
            while lost not in workers and len(workers) < 5:
                thief = self.stack.enter_context(store.gateway(f'{self.SPACE}gateway = "thief"\n'))
                self.stolen.append(ids(proxy(thief).id.batch(10_000, {"as": "range"})))
                workers.append(proxy(thief).id.stats()["worker"])
            self.assertIn(lost, workers)
        finally:
            paused.process.send_signal(signal.SIGCONT)
        self.goes_on("a pause")


def answers(c, *call):
    """Does this call of `c` have an answer by now?"""
    with contextlib.suppress(RemoteError):
        return c(*call) is not None


class Outage(IdCase):
    def test_the_store_is_away_for_a_while(self):
        with store.gateway("wait_ms = 500\ntag_wait_ms = 500\n") as server, Client(server.endpoint) as c:
            c("id.create", "small", {"step": 20})
            small = [int(c("id.segment", "small")) for _ in range(15)]
            wait_for(lambda: int(c("id.stats")["tags_left"]) > 5, "the second buffer")
            left = int(c("id.stats")["tags_left"])
            c("id.create", "away", {"step": 1000})
            rows, numbers = ids(c("id.batch", 100, {"as": "range"})), [int(c("id.segment", "away")) for _ in range(200)]
            refused = 0
            with store.away():
                numbers += [int(c("id.segment", "away")) for _ in range(300)]  # from what it has reserved
                until = time.monotonic() + 2
                while time.monotonic() < until:
                    try:  # what is below the mark may be spent
                        rows += ids(c("id.batch", 100, {"as": "range"}))
                    except RemoteError:
                        refused += 1
                small += [int(c("id.segment", "small")) for _ in range(left)]
                with self.assertRaises(RemoteError) as spent:
                    c("id.segment", "small")
                self.assertEqual(spent.exception.name, "UnavailableError", spent.exception)
            self.assertGreater(refused, 0)  # the mark is 0.6 s ahead: nothing above it was given

            # Each by itself: one that does not come back is named. The lease last, which is extended by asking for ids.
            for call in (("id.segment", "away"), ("id.segment", "small"), ("id.next",)):
                wait_for(lambda: answers(c, *call), f"{call} after the store came back", 20)
            wait_for(lambda: answers(c, "id.next") and c("id.stats")["lease_ms"] > 0, "a lease after the store came back", 20)
            rows += ids(c("id.batch", 100, {"as": "range"}))
            numbers += [int(c("id.segment", "away")) for _ in range(2000)]
            small += [int(c("id.segment", "small")) for _ in range(100)]
            self.rises(rows)
            for given in (numbers, small):
                self.assertEqual(sorted(set(given)), given)


class ClockSteps(IdCase):
    """By an hour and five seconds back and a minute forward, while it runs and over kills."""

    def setUp(self):
        self.wall = Wall()

    def test_a_running_gateway(self):
        with store.gateway("", self.wall.environment) as server, Client(server.endpoint) as c:
            rows = ids(c("id.batch", 10_000, {"as": "range"}))
            for step, seconds in Wall.STEPS:
                self.wall.step(step)

                def seen():
                    rows.extend(ids(c("id.batch", 1000, {"as": "range"})))
                    return self.wall.is_seen(server, seconds)

                wait_for(seen, f"the clock stepped by {step}")
                for _ in range(100):
                    rows += ids(c("id.batch", 1000, {"as": "range"}))
            self.rises(rows)

    def test_gateways_that_start_in_the_past(self):
        rows = []
        for step in ("+0", "-3600", "-5", "+60", "+0"):
            self.wall.step(step)
            server = store.gateway('gateway = "g"\n', self.wall.environment)
            try:
                rows += ids(proxy(server).id.batch(100_000, {"as": "range"}))
                server.kill()
            finally:
                server.stop()
        self.rises(rows)
