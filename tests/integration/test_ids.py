"""id.* end to end: ids that never repeat and rise, whatever happens to gateways, clocks and the store."""

import contextlib
import glob
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import unittest
import uuid
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
from gateway import Gateway, wait_for
from zerorpc_client import Client, RemoteError

QUICK = "window_ms = 600\nlease_ms = 1500\n"


def setUpModule():
    global folder
    folder = tempfile.mkdtemp(prefix="sluice-test-")


def tearDownModule():
    shutil.rmtree(folder)


def fresh(name):
    return os.path.join(folder, f"{name}-{random.getrandbits(40)}")


def gateway(file, more="", **options):
    if "wait_ms" not in more:
        more += "wait_ms = 10000\n"  # four gateways' marks on one slow disk
    return Gateway(config=f'[id]\nfile = "{file}"\n{QUICK}{more}', probe=False, **options)


def proxy(server):
    return xmlrpc.client.ServerProxy(server.url, allow_none=True, use_builtin_types=True)


def ids(ranges):
    """The pairs of id.batch(n, {"as": "range"}) as ints."""
    return [(int(first), int(last)) for first, last in ranges]


class IdCase(unittest.TestCase):
    def rises(self, rows):
        for (_, before), (after, _) in zip(rows, rows[1:]):
            self.assertLess(before, after)

    def distinct(self, *all_rows):
        self.rises(sorted(row for rows in all_rows for row in rows))

    def fault(self, words, call, *args):
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            call(*args)
        self.assertIn(words, caught.exception.faultString)


class Surface(IdCase):
    @classmethod
    def setUpClass(cls):
        key = fresh("key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("00112233445566778899aabbccddeeff\n")
        cls.gateway = gateway(fresh("ids"), f'keys = ["k1={key}"]\nspaces = ["main", "orders", "js layout=js53"]\n')
        cls.g = proxy(cls.gateway)

    @classmethod
    def tearDownClass(cls):
        cls.g("close")()
        assert cls.gateway.stop() == 0

    def test_next_and_decode(self):
        first, second = self.g.id.next(), self.g.id.next()
        self.assertLess(int(first), int(second))
        said = self.g.id.decode(second)
        self.assertEqual((said["worker"], said["space"], said["epoch"].year), (0, "main", 2025))
        self.assertLess(abs(int(said["ms"]) - time.time() * 1000), 10_000)
        self.assertIsInstance(self.g.id.next({"as": "int"}), int)

    def test_batches(self):
        texts, ints = self.g.id.batch(1000), self.g.id.batch(1000, {"as": "int"})
        self.rises([(int(i), int(i)) for i in texts] + [(i, i) for i in ints])
        rows = ids(self.g.id.batch(1_000_000, {"as": "range"}))
        self.assertEqual(sum(last - first + 1 for first, last in rows), 1_000_000)
        self.rises(rows)

    def test_javascript_holds_those_of_js53(self):
        self.assertLess(int(self.g.id.batch(5000, {"space": "js"})[-1]), 2**53)

    def test_segments(self):
        self.assertEqual(self.g.id.create("a", {"start": 10, "delta": 5, "remainder": 2})["next"], "12")
        self.assertFalse(self.g.id.create("a", {"start": 999})["created"])
        self.assertEqual([self.g.id.segment("a") for _ in range(3)], ["12", "17", "22"])
        self.assertEqual(self.g.id.segment("a", 2, {"as": "int"}), [27, 32])
        rows = self.g.id.segment("a", 100_000, {"as": "range"})
        self.assertEqual((rows[0][0], sum((int(last) - int(first)) // delta + 1 for first, last, delta in rows)), ("37", 100_000))
        self.fault("there is no tag 'nobody'; make it with id.create", self.g.id.segment, "nobody")

    def test_sequences_are_the_stores_own(self):
        self.assertEqual([self.g.id.sequence("invoice") for _ in range(3)], ["1", "2", "3"])

    def test_uuids_as_python_reads_them(self):
        for version in (1, 4, 6, 7):
            made = [uuid.UUID(self.g.id.uuid(version)) for _ in range(50)]
            self.assertEqual({(u.version, u.variant) for u in made}, {(version, uuid.RFC_4122)})
            self.assertEqual(len(set(made)), 50)
            if version in (6, 7):
                self.assertEqual(sorted(made), made)
        self.assertLess(abs(uuid.UUID(self.g.id.uuid(1)).time / 1e7 - 12219292800 - time.time()), 10)
        self.assertLess(abs((uuid.UUID(self.g.id.uuid(7)).int >> 80) / 1000 - time.time()), 10)
        ulid = self.g.id.uuid("ulid")
        self.assertRegex(ulid, "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
        self.assertEqual(self.g.id.decode(ulid)["version"], 7)

    def test_hidden_ids_are_revealed_and_have_nothing_in_common(self):
        for number in ["0", "1", str(2**63 - 1), *(str(random.getrandbits(63)) for _ in range(50))]:
            self.assertEqual(self.g.id.reveal(self.g.id.hide(number)), number)
        start = int(self.g.id.next())
        hidden = [self.g.id.hide(str(start + i)) for i in range(200)]
        self.assertEqual(len(set(hidden)), 200)
        same = sum(a == b for one, next_ in zip(hidden, hidden[1:]) for a, b in zip(one[4:], next_[4:]))
        self.assertLess(same / (199 * 12), 0.06)  # of 32 letters, one by chance
        self.assertNotEqual(self.g.id.hide("7"), self.g.id.hide("7", {"space": "orders"}))

    def test_refusals_say_what_to_do(self):
        self.fault("did you mean 'space'?", self.g.id.next, {"spcae": "main"})
        self.fault("did you mean 'orders'?", self.g.id.next, {"space": "order"})
        self.fault("1000000 ids at most", self.g.id.batch, 1_000_001)
        self.fault("call it several times", self.g.id.batch, 200_000, {"space": "js"})
        self.fault("1, 4, 6 and 7", self.g.id.uuid, 3)
        self.fault("none is configured", self.g.id.redis, "a")
        self.fault("lower case letters", self.g.id.create, "a; DROP TABLE x")

    def test_stats_keep_the_names_of_pysnowflake(self):
        self.g.id.next()
        stats = self.g.id.stats()
        self.assertLessEqual({"dc", "worker", "timestamp", "last_timestamp", "sequence", "sequence_overload", "errors"}, set(stats))
        self.assertEqual((stats["store"], stats["claimed"]), ("sqlite", True))
        self.assertGreater(int(stats["mark"]), int(stats["last_timestamp"]))


class Taker(threading.Thread):
    """Takes ids from a gateway in blocks until it has enough, through kills and restarts."""

    def __init__(self, endpoint, blocks, size=10_000):
        super().__init__()
        self.endpoint, self.blocks, self.size, self.rows, self.errors = endpoint, blocks, size, [], 0
        self.start()

    def run(self):
        client = Client(self.endpoint(), timeout=3)
        while self.blocks > 0:
            try:
                self.rows += ids(client("id.batch", self.size, {"as": "range"}))
                self.blocks -= 1
            except Exception:
                self.errors += 1
                time.sleep(0.02)
                client = Client(self.endpoint(), timeout=3)


class Faults(IdCase):
    def test_ten_million_from_four_gateways_while_they_are_killed_and_paused(self):
        file = fresh("ids")
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(gateway(file, f'gateway = "g{i}"\n')) for i in range(4)]
            takers = [Taker(lambda i=i: servers[i].endpoint, 250) for i in range(4)]
            stack.callback(lambda: [setattr(taker, "blocks", 0) for taker in takers])
            killed, paused = servers[0], servers[1]
            wait_for(lambda: len(takers[0].rows) > 50, "some blocks of the gateway that is killed", 60)
            killed.kill()
            servers[0] = stack.enter_context(gateway(file, 'gateway = "g0"\n'))
            paused.process.send_signal(signal.SIGSTOP)
            # Once the leases of the killed and the paused one have ended, their worker ids are others'.
            lost = self.workers(file)["g1"][0]
            thieves = [stack.enter_context(gateway(file, 'gateway = "thief"\n')) for _ in range(2)]
            try:
                wait_for(lambda: self.workers(file)["g1"][1] < time.clock_gettime(time.CLOCK_BOOTTIME) * 1000, "the end of a lease")
                stolen = [ids(proxy(thief).id.batch(10_000, {"as": "range"})) for thief in thieves]
                self.assertIn(lost, [proxy(thief).id.stats()["worker"] for thief in thieves])
            finally:
                paused.process.send_signal(signal.SIGCONT)
            for taker in takers:
                taker.join(120)
                self.assertFalse(taker.is_alive())
                self.rises(taker.rows)
            self.distinct(*stolen, *(taker.rows for taker in takers))
            given = sum(last - first + 1 for taker in takers for first, last in taker.rows)
            self.assertEqual(given, 10_000_000)

    def workers(self, file):
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
            return {name: (worker, expires) for name, worker, expires in db.execute("SELECT gateway, worker, expires FROM sluice_id_workers")}

    def test_the_store_is_away_for_a_while(self):
        file = fresh("ids")
        with gateway(file, "wait_ms = 500\n") as server, Client(server.endpoint) as c:
            c("id.create", "tag", {"step": 1000})
            rows, numbers = ids(c("id.batch", 100, {"as": "range"})), [int(c("id.segment", "tag")) for _ in range(200)]
            with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
                db.execute("BEGIN EXCLUSIVE")
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    with contextlib.suppress(RemoteError):  # what is below the mark may be spent
                        rows += ids(c("id.batch", 100, {"as": "range"}))
                    if len(numbers) < 1000:  # the first of the two buffers
                        numbers.append(int(c("id.segment", "tag")))
                db.execute("ROLLBACK")
            wait_for(lambda: self.answers(c), "ids after the store came back")
            rows += ids(c("id.batch", 100, {"as": "range"}))
            self.rises(rows)
            self.assertEqual(len(numbers), len(set(numbers)))
            self.assertEqual(sorted(numbers), numbers)

    def answers(self, client):
        with contextlib.suppress(RemoteError):
            return int(client("id.next"))

    def test_worker_ids_run_out_and_come_back(self):
        file, spaces = fresh("ids"), 'spaces = ["main layout=41/1/12"]\n'
        with gateway(file, spaces + 'gateway = "a"\n') as a, gateway(file, spaces) as b, gateway(file, spaces) as c:
            rows = [(int(i), int(i)) for i in (proxy(a).id.next(), proxy(b).id.next())]
            self.fault("all 2 worker ids of the space 'main' are leased", proxy(c).id.next)
            a.kill()
            wait_for(lambda: self.claimed(c), "the worker id of one that was killed")
            rows.append((int(proxy(c).id.next()),) * 2)
            self.assertEqual(proxy(c).id.stats()["worker"], 0)
            self.rises([rows[0], rows[2]])
            self.distinct(rows)

    def claimed(self, server):
        with contextlib.suppress(xmlrpc.client.Fault):
            return proxy(server).id.next()

    def test_a_gateway_that_ends_well_gives_its_worker_id_back(self):
        file, spaces = fresh("ids"), 'spaces = ["main layout=41/0/12"]\n'
        last = 0
        for _ in range(3):
            with gateway(file, spaces) as server:
                given = int(proxy(server).id.next())
                self.assertGreater(given, last)
                last = given

    def test_a_copied_file_is_caught(self):
        file, copy = fresh("ids"), fresh("copy")
        with gateway(file) as server:
            proxy(server).id.next()
        shutil.copy(file, copy)
        with gateway(copy) as server:
            self.fault("is a copy of one that keeps worker ids", proxy(server).id.next)
        with gateway(copy, "accept_copy = true\n") as server:
            proxy(server).id.next()
        with gateway(copy) as server:
            proxy(server).id.next()

    def test_another_layout_is_refused(self):
        file = fresh("ids")
        with gateway(file) as server:
            proxy(server).id.next()
        with gateway(file, 'spaces = ["main layout=41/8/14"]\n') as server:
            self.fault("has the layout 41/10/12 1ms 2025-01-01 in the store", proxy(server).id.next)


class WithoutAStore(IdCase):
    """id.backend = "worker:N": the worker id is the configuration's, its mark in a local file."""

    def gateway(self, file, worker=3, more=""):
        return gateway(file, f'backend = "worker:{worker}"\n{more}')

    def test_ids_rise_over_kills_and_restarts(self):
        file, rows = fresh("worker"), []
        for ending in ("kill", "kill", "stop", "kill"):
            with self.gateway(file) as server:
                rows += ids(proxy(server).id.batch(50_000, {"as": "range"}))
                self.assertEqual(proxy(server).id.decode(str(rows[-1][0]))["worker"], 3)
                getattr(server, ending)()
        self.rises(rows)

    def test_two_gateways_on_one_file_are_refused(self):
        file = fresh("worker")
        with self.gateway(file) as server:
            with self.assertRaisesRegex(RuntimeError, "is used by another gateway"):
                self.gateway(file, 4)
            proxy(server).id.next()

    def test_two_gateways_with_their_own_give_different_ids(self):
        with self.gateway(fresh("worker"), 1) as one, self.gateway(fresh("worker"), 2) as two:
            self.distinct(*(ids(proxy(server).id.batch(100_000, {"as": "range"})) for server in (one, two)))

    def test_a_write_that_was_cut_off_leaves_the_one_before(self):
        file, rows = fresh("worker"), []
        for _ in range(3):
            with self.gateway(file) as server:
                rows += ids(proxy(server).id.batch(100, {"as": "range"}))
                server.kill()
            with open(file, "r+b") as f:
                older = min((0, 65536), key=lambda at: self.written(f, at))
                f.seek(older)
                f.write(b"sluice-worker-1 77 9000\n12")
        self.rises(rows)

    def written(self, f, at):
        f.seek(at)
        return int((f.read(65536).split(b"\n") + [b"0"])[1].split()[0])  # a place that is not written yet: 0

    def test_damaged_and_copied_files_are_refused(self):
        file, copy = fresh("worker"), fresh("copy")
        with self.gateway(file) as server:
            proxy(server).id.next()
        shutil.copy(file, copy)
        with self.assertRaisesRegex(RuntimeError, "is a copy of one that keeps worker ids"):
            self.gateway(copy)
        self.gateway(copy, more="accept_copy = true\n").stop()
        with open(copy, "wb") as f:
            f.write(b"something else")
        with self.assertRaisesRegex(RuntimeError, "is damaged"):
            self.gateway(copy)

    def test_what_it_does_not_keep_is_refused(self):
        with self.gateway(fresh("worker"), 1024) as server:
            self.fault("worker id 1024 of id.backend is none of the space 'main'", proxy(server).id.next)
            self.fault("keeps nothing but the mark", proxy(server).id.create, "a")
            self.fault("keeps nothing but the mark", proxy(server).id.sequence, "a")
        with self.assertRaisesRegex(RuntimeError, "names no worker id"):
            self.gateway(fresh("worker"), "x")


class ClockSteps(IdCase):
    """On the embedded store; id_cases.py has them on others."""

    LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)

    def setUp(self):
        self.assertTrue(self.LIBRARY, "install the package libfaketime")
        self.time = fresh("time")
        self.step("+0")
        self.environment = {"LD_PRELOAD": self.LIBRARY, "FAKETIME_TIMESTAMP_FILE": self.time, "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}

    def start(self, file, more=""):
        return gateway(file, more, environment=self.environment)

    def step(self, by):
        with open(self.time + ".new", "w") as f:
            f.write(by + "\n")
        os.replace(self.time + ".new", self.time)

    def wall(self, server):
        """The wall clock as the gateway sees it: that of version 1, which follows it forward."""
        stats = proxy(server).id.stats()
        return (int(stats["timestamp"]) - stats["lead_ms"]) / 1000

    def test_a_running_gateway(self):
        with self.start(fresh("ids")) as server, Client(server.endpoint) as c:
            rows = ids(c("id.batch", 10_000, {"as": "range"}))
            for step, seconds in (("-3600", -3600), ("-5", -5), ("+60", 60), ("+0", 0)):
                self.step(step)

                def seen():
                    rows.extend(ids(c("id.batch", 1000, {"as": "range"})))
                    return abs(self.wall(server) - time.time() - seconds) < 2

                wait_for(seen, f"the clock stepped by {step}")
                for _ in range(100):
                    rows += ids(c("id.batch", 1000, {"as": "range"}))
            self.rises(rows)

    def test_gateways_that_start_in_the_past(self):
        file, rows = fresh("ids"), []
        for step in ("+0", "-3600", "-5", "+60", "+0"):
            self.step(step)
            server = self.start(file, 'gateway = "g"\n')
            try:
                rows += ids(proxy(server).id.batch(100_000, {"as": "range"}))
                server.kill()
            finally:
                server.stop()
        self.rises(rows)


if __name__ == "__main__":
    unittest.main()
