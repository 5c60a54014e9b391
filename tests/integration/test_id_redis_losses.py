"""id.* on a real Redis that keeps nothing, or too little, or stands still: it is caught, and nothing repeats."""

import contextlib
import os
import shutil
import time
import unittest
import xmlrpc.client

from gateway import wait_for
from id_cases import IdCase, Taker, Wall, World, answer, fresh, ids, proxy, setUpModule  # noqa: F401
from redis_masters import Redis


class Losses(IdCase):
    def setUp(self):
        self.redis = self.enterContext(Redis(fsync=False))

    def gateway(self, more="", environment=None, data=None):
        return self.enterContext(World(self.redis, f"redis://{self.redis.hosts()}", data=data).gateway(more, environment))

    @contextlib.contextmanager
    def lost(self, *servers):
        """Around a loss, while ids are taken of all gateways: none repeats, and each gateway's rise over it."""
        takers = [Taker(lambda server=server: server.endpoint, 5) for server in servers]
        try:
            wait_for(lambda: all(taker.blocks <= 0 for taker in takers), "ids before the loss")
            yield
            had = [len(taker.rows) for taker in takers]
            wait_for(lambda: all(proxy(server).id.stats()["claimed"] for server in servers), "worker ids that are claimed after the loss", 40)
            wait_for(lambda: all(len(taker.rows) > before + 5 for taker, before in zip(takers, had)), "ids after the loss", 40)
        finally:
            for taker in takers:
                taker.enough.set()
        for taker in takers:
            taker.join(30)
            self.assertFalse(taker.is_alive())
            self.rises(taker.rows)
        self.distinct(*(taker.rows for taker in takers))

    def is_noticed(self, server):
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            proxy(server).id.sequence("made_by_nobody")
        return "lost data, or may have" in caught.exception.faultString

    def test_a_server_that_was_emptied(self):
        a, b = self.gateway(), self.gateway()
        with self.lost(a, b):
            self.redis.do(0, "flushall")

    def test_a_server_that_was_killed_and_kept_nothing(self):
        a, b = self.gateway(), self.gateway()
        with self.lost(a, b):
            self.redis.kill(0)
            self.redis.start(0)

    def test_a_server_that_came_back_with_older_data(self):
        a, b = self.gateway(), self.gateway()
        with self.lost(a, b):
            self.redis.do(0, "save")
            mark = int(proxy(a).id.stats()["mark"])
            wait_for(lambda: int(proxy(a).id.stats()["mark"]) > mark + 1000, "marks that the snapshot does not have")
            self.redis.kill(0)
            self.redis.start(0)

    def test_nobody_is_let_in_before_forgotten_leases_have_ended(self):
        a = self.gateway()
        proxy(a).id.next()
        self.redis.do(0, "flushall")
        wait_for(lambda: self.is_noticed(a), "the loss to be noticed")
        newcomer = self.gateway("wait_ms = 300\n")
        with self.assertRaisesRegex(xmlrpc.client.Fault, r"it gives nothing for another \d+ ms, until all leases"):
            proxy(newcomer).id.next()
        wait_for(lambda: answer(newcomer), "the end of the forgotten leases", 20)

    def test_marks_are_above_those_that_the_gateway_alone_remembers(self):
        """Its clock was a minute ahead when the server forgot, and is right when it starts again."""
        wall, data = Wall(), fresh("data")
        wall.step("+60")
        ahead = self.gateway("", wall.environment, data=data)
        before = ids(proxy(ahead).id.batch(1000, {"as": "range"}))
        ahead.kill()
        self.redis.do(0, "flushall")
        wall.step("+0")
        again = self.gateway("", wall.environment, data=data)
        wait_for(lambda: answer(again), "ids after the loss", 30)
        self.rises([*before, *ids(proxy(again).id.batch(1000, {"as": "range"}))])
        # Nobody else begins below either.
        other = self.gateway()
        self.rises([*before, *ids(proxy(other).id.batch(1000, {"as": "range"}))])

    def test_a_mark_is_remembered_by_every_gateway_that_was_told_of_it(self):
        """One of which the clock was an hour ahead is gone with its files; another met the server after it."""
        wall = Wall()
        wall.step("+3000")
        witness = self.gateway('gateway = "witness"\n')
        proxy(witness).id.next()
        ahead = self.gateway("", wall.environment)
        before = ids(proxy(ahead).id.batch(1000, {"as": "range"}))
        ahead.kill()
        mark = proxy(witness).id.stats()["mark"]
        wait_for(lambda: answer(witness) and proxy(witness).id.stats()["mark"] > mark, "a mark that is written after that of the other")
        self.redis.do(0, "flushall")
        wait_for(lambda: self.is_noticed(witness), "the loss to be noticed")
        newcomer = self.gateway('gateway = "newcomer"\n')
        wait_for(lambda: answer(newcomer), "ids after the loss", 40)
        self.rises([*before, *ids(proxy(newcomer).id.batch(1000, {"as": "range"}))])

    def test_tags_and_sequences_are_refused_until_someone_says_where_they_go_on(self):
        a, b = proxy(self.gateway()), proxy(self.gateway("tag_wait_ms = 500\n"))
        a.id.create("kept", {"step": 10})
        given = [int(n) for n in a.id.segment("kept", 35)]
        last = int(a.id.sequence("kept"))
        self.redis.do(0, "flushall")
        self.fault("how far the sequence 'kept' went is not known", a.id.sequence, "kept")
        for g in (a, b):
            self.fault("how far the numbers of the tag 'kept' went is not known: none is given, lest they repeat", g.id.segment, "kept", 5000)
        # An application that makes its tags at each start does not begin again from 1.
        self.fault("""Say where they go on: id.create('kept', {"start": N, "anew": true})""", a.id.create, "kept", {"step": 10})
        made = b.id.create("kept", {"start": 1000, "step": 10, "anew": True})
        self.assertEqual((made["created"], made["next"]), (True, "1000"))
        self.assertFalse(a.id.create("kept", {"step": 10})["created"])
        given += [int(n) for g in (a, b, a) for n in g.id.segment("kept", 20)]  # whoever was refused is not told so again
        self.assertEqual(len(given), len(set(given)))
        self.assertLess(max(given), 2000)
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            a.id.sequence("kept")
        self.redis.do(0, *caught.exception.faultString.split("there: ")[1].replace("last N", f"last {last}").split())
        self.assertEqual(int(a.id.sequence("kept")), last + 1)

    def test_a_tag_of_an_older_snapshot_never_goes_down(self):
        server = self.gateway()
        g = proxy(server)
        g.id.create("kept", {"start": 100, "step": 10})
        g.id.segment("kept", 30)
        self.redis.do(0, "save")
        g.id.segment("kept", 30)
        self.redis.kill(0)
        self.redis.start(0)
        wait_for(lambda: self.is_noticed(server), "the loss to be noticed")
        self.fault("but that all below", g.id.create, "kept", {"start": 101, "anew": True})
        self.assertTrue(g.id.create("kept", {"start": 1000, "anew": True})["created"])

    def test_a_frozen_server_hangs_nobody(self):
        server = self.gateway("wait_ms = 500\n")
        before = ids(proxy(server).id.batch(1000, {"as": "range"}))
        self.redis.freeze(0)
        try:
            slowest = 0.0

            def refused():
                nonlocal slowest
                started = time.monotonic()
                given = answer(server)
                slowest = max(slowest, time.monotonic() - started)
                if given:
                    before.append((int(given),) * 2)
                return not given

            wait_for(refused, "the end of what is below the mark")
            started = time.monotonic()
            with self.assertRaises(xmlrpc.client.Fault):
                proxy(server).id.sequence("frozen")
            self.assertLess(max(slowest, time.monotonic() - started), 3)
        finally:
            self.redis.thaw(0)
        wait_for(lambda: answer(server), "ids after the server went on")
        self.rises([*before, *ids(proxy(server).id.batch(1000, {"as": "range"}))])
        self.assertTrue(int(proxy(server).id.sequence("frozen")))

    def test_a_copy_of_a_gateways_files_is_harmless_and_the_same_files_are_refused(self):
        data, copy = fresh("data"), fresh("copy")
        server = self.gateway(data=data)
        before = ids(proxy(server).id.batch(1000, {"as": "range"}))
        for name in os.listdir(os.path.dirname(data)):
            if name.startswith(os.path.basename(data) + "-ids"):
                shutil.copy(os.path.join(os.path.dirname(data), name), copy + name.removeprefix(os.path.basename(data)))
        other = self.gateway(data=copy)
        self.distinct(before, ids(proxy(server).id.batch(1000, {"as": "range"})), ids(proxy(other).id.batch(1000, {"as": "range"})))
        with self.assertRaisesRegex(RuntimeError, "is used by another gateway"):
            self.gateway(data=data)


if __name__ == "__main__":
    unittest.main()
