"""What id.* must do through real gateways on one store in a database server, whichever that is: ids that never repeat and rise, whatever
happens to gateways, clocks and the server.

A test file for a store imports these cases and sets `world`: a context manager that gives a World.
SLUICE_ID_BLOCKS says how many blocks of 10,000 each of the four gateways of the long test gives; 250 are ten millions.
"""

import contextlib
import os
import signal
import threading
import time
import unittest
import xmlrpc.client

import test_ids
from gateway import Gateway, wait_for
from test_ids import QUICK, IdCase, Taker, ids, proxy
from zerorpc_client import Client, RemoteError

BLOCKS = int(os.environ.get("SLUICE_ID_BLOCKS", "40"))

world = None


class World:
    """A database server, and gateways on it. `cluster` is one of tests/clusters."""

    def __init__(self, cluster):
        self.cluster = cluster

    def gateway(self, more="", environment=None):
        if "wait_ms" not in more:
            more += "wait_ms = 10000\n"
        return Gateway(data=self.cluster.url(), config=f'[id]\nbackend = "database:main"\n{QUICK}{more}', probe=False, environment=environment)

    @contextlib.contextmanager
    def away(self):
        self.cluster.kill(0)
        try:
            yield
        finally:
            self.cluster.start(0)


def setUpModule():
    global store
    store = unittest.enterModuleContext(world())
    test_ids.setUpModule()
    unittest.addModuleCleanup(test_ids.tearDownModule)


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
            wait_for(lambda: self.claimed(c), "the worker id of one that was killed")
            rows.append((int(proxy(c).id.next()),) * 2)
            self.assertEqual(proxy(c).id.stats()["worker"], 0)
            self.rises([rows[0], rows[2]])
            self.distinct(rows)

    def claimed(self, server):
        with contextlib.suppress(xmlrpc.client.Fault):
            return proxy(server).id.next()

    def test_another_layout_is_refused(self):
        with store.gateway('spaces = ["wide"]\n') as server:
            proxy(server).id.next()
        with store.gateway('spaces = ["wide layout=41/8/14"]\n') as server:
            self.fault("has the layout 41/10/12 1ms 2025-01-01 in the store", proxy(server).id.next)


class Faults(IdCase):
    def test_four_gateways_while_they_are_killed_and_paused(self):
        space = 'spaces = ["torture"]\n'
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(store.gateway(f'{space}gateway = "g{i}"\n')) for i in range(4)]
            takers = [Taker(lambda i=i: servers[i].endpoint, BLOCKS) for i in range(4)]
            stack.callback(lambda: [setattr(taker, "blocks", 0) for taker in takers])
            killed, paused = servers[0], servers[1]
            wait_for(lambda: len(takers[0].rows) > 5 and len(takers[1].rows) > 5, "some blocks of the gateways that are killed and paused", 60)
            lost = proxy(paused).id.stats()["worker"]
            killed.kill()
            servers[0] = stack.enter_context(store.gateway(f'{space}gateway = "g0"\n'))
            paused.process.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            try:
                # Once the leases of the killed and the paused one have ended, their worker ids are others'.
                wait_for(lambda: time.monotonic() > stopped + 1.6, "the end of a lease")
                # The lowest free one is taken each time: another gateway may have left one when it was kept waiting.
                stolen, workers = [], []
                while lost not in workers and len(workers) < 5:
                    thief = stack.enter_context(store.gateway(f'{space}gateway = "thief"\n'))
                    stolen.append(ids(proxy(thief).id.batch(10_000, {"as": "range"})))
                    workers.append(proxy(thief).id.stats()["worker"])
                self.assertIn(lost, workers)
            finally:
                paused.process.send_signal(signal.SIGCONT)
            for taker in takers:
                taker.join(120)
                self.assertFalse(taker.is_alive())
                self.rises(taker.rows)
            self.distinct(*stolen, *(taker.rows for taker in takers))
            self.assertEqual(sum(last - first + 1 for taker in takers for first, last in taker.rows), 4 * BLOCKS * 10_000)

    def test_the_server_is_away_for_a_while(self):
        with store.gateway("wait_ms = 500\n") as server, Client(server.endpoint) as c:
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
            self.assertGreater(refused, 0)  # the mark is 0.6 s ahead: nothing above it was given

            def answers():
                with contextlib.suppress(RemoteError):
                    return int(c("id.next")) and int(c("id.segment", "away"))

            wait_for(answers, "ids after the server came back", 10)
            rows += ids(c("id.batch", 100, {"as": "range"}))
            numbers += [int(c("id.segment", "away")) for _ in range(2000)]
            self.rises(rows)
            self.assertEqual(sorted(set(numbers)), numbers)


class ClockSteps(test_ids.ClockSteps):
    """By an hour and five seconds back and a minute forward, while it runs and over kills."""

    def start(self, file, more=""):
        return store.gateway(more, self.environment)
