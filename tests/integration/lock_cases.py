"""What lock.* must do through two real gateways on one store, whichever that is: exclusion, limits of time, crashes, sessions, fences.

A test file for a store imports these cases and sets `world`: a context manager that gives a function which starts a Gateway on the store.
One whose store is a database server has its world from database(), and imports ServerStore and ServerCrash too.
A store whose servers want the machine's processors for themselves sets `slack` and `lease_ms` too.
SLUICE_LOCK_SECONDS says how long the test of contention runs: 10 s, unless it is to be a long one.
"""

import contextlib
import http.client
import multiprocessing
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

from cases import FaultCase, run_suite
from gateway import Gateway, wait_for

sys.path += [os.path.join(os.environ["SLUICE_SOURCE"], folder) for folder in ("tests/clusters", "examples/1_hello")]
from zerorpc_client import Client  # noqa: E402


SECONDS = float(os.environ.get("SLUICE_LOCK_SECONDS", "10"))

world = None
cluster = None
slack = 1  # so many times the usual limit may an answer take
lease_ms = 1000  # the shortest lease that is granted and renewed in time


def database(start):
    """The world of one of tests/clusters."""

    @contextlib.contextmanager
    def one_server():
        global cluster
        with start() as cluster:
            yield lambda: Gateway(data=cluster.url(), config='[lock]\nbackend = "database:main"\n')

    return one_server


def setUpModule():
    global gateways, start
    start = unittest.enterModuleContext(world())
    gateways = []
    for _ in range(2):
        gateways.append(start())
        unittest.addModuleCleanup(stop, gateways[-1])
    with proxy() as g:
        g.sql.execute("CREATE TABLE counter(name VARCHAR(200) PRIMARY KEY, n INTEGER)")


def stop(gateway):
    assert gateway.stop() == 0


def proxy(gateway=0):
    return xmlrpc.client.ServerProxy(gateways[gateway].url, allow_none=True)


def try_lock(g, name, options=None):
    return getattr(g.lock, "try")(name, options or {})


class LockCase(FaultCase):
    def setUp(self):
        self.a, self.b = proxy(0), proxy(1)
        self.name = f"{self.id()}"

    def tearDown(self):
        self.a("close")()
        self.b("close")()

    @contextlib.contextmanager
    def takes(self, least, most):
        started = time.monotonic()
        yield
        took = time.monotonic() - started
        self.assertGreaterEqual(took, least)
        self.assertLess(took, most)


class Surface(LockCase):
    def test_taken_refused_released(self):
        lease = self.a.lock.acquire(self.name)
        self.assertEqual((lease["granted"], lease["name"], lease["count"], lease["fenced"]), (True, self.name, 1, True))
        self.assertIsInstance(lease["token"], str)
        no = self.b.lock.acquire(self.name)
        self.assertEqual((no["granted"], no["reason"], no["holder"]), (False, "held", lease["owner"]))
        self.assertTrue(9000 < no["remaining_ms"] <= 10000)
        self.assertEqual(self.b.lock.check(lease)["held"], True)
        self.assertEqual(self.b.lock.release(lease), {"ok": True, "reason": "", "count": 0})  # through either gateway
        self.assertEqual(self.a.lock.release(lease)["reason"], "not_held")
        again = self.b.lock.acquire(self.name)
        self.assertGreater(int(again["token"]), int(lease["token"]))
        self.assertEqual(self.a.lock.release(lease)["reason"], "lost")
        self.assertEqual(self.a.lock.release(self.name, again["owner"], again["token"])["ok"], True)

    def test_reentrant_by_owner(self):
        leases = [g.lock.acquire(self.name, {"owner": "me"}) for g in (self.a, self.b, self.a)]
        self.assertEqual([lease["count"] for lease in leases], [1, 2, 3])
        self.assertEqual(len({lease["token"] for lease in leases}), 1)
        self.assertEqual([self.a.lock.release(leases[0])["count"] for _ in range(2)], [2, 1])
        self.assertFalse(try_lock(self.b, self.name)["granted"])
        self.assertEqual(self.b.lock.release(leases[0]), {"ok": True, "reason": "", "count": 0})
        self.assertFalse(self.b.lock.release(leases[0])["ok"])

    def test_reentry_passes_those_who_wait(self):
        lease = self.a.lock.acquire(self.name, {"owner": "me"})
        other = threading.Thread(target=lambda: proxy(0).lock.acquire(self.name, {"wait_ms": 5000, "ttl_ms": 10}))
        other.start()
        wait_for(lambda: self.a.lock.info(self.name)["waiters"] == 1, "the other to wait")
        self.assertEqual(self.a.lock.acquire(self.name, {"owner": "me", "wait_ms": 1000})["count"], 2)
        self.a.lock.release(lease)
        self.a.lock.release(lease)
        other.join()

    def test_renew_and_check(self):
        lease = self.a.lock.acquire(self.name, {"ttl_ms": 1000})
        self.assertGreater(self.b.lock.renew(lease, 60000)["remaining_ms"], 50000)
        self.assertGreater(self.b.lock.renew(self.name, lease["owner"], lease["token"], 50000)["remaining_ms"], 40000)
        self.assertGreater(self.a.lock.check(lease)["remaining_ms"], 40000)
        self.assertEqual(self.a.lock.renew(dict(lease, token="1" + lease["token"]), 1000)["ok"], False)
        self.a.lock.release(lease)
        self.assertEqual(self.a.lock.renew(lease, 1000)["reason"], "not_held")
        self.assertFalse(self.a.lock.check(lease)["held"])

    def test_shared_and_permits(self):
        one = self.a.lock.acquire(self.name, {"mode": "shared", "owner": "r1"})
        two = self.b.lock.acquire(self.name, {"mode": "shared", "owner": "r2"})
        self.assertEqual(self.a.lock.acquire(self.name, {"owner": "r1"})["reason"], "other_mode")
        self.assertFalse(try_lock(self.a, self.name)["granted"])
        self.a.lock.release(one)
        self.a.lock.release(two)
        permits = [try_lock(g, self.name, {"permits": 2}) for g in (self.a, self.b, self.a)]
        self.assertEqual([p["granted"] for p in permits], [True, True, False])

    def test_a_waiting_writer_goes_before_new_readers(self):
        reader = self.a.lock.acquire(self.name, {"mode": "shared"})
        got = []
        writer = threading.Thread(target=lambda: got.append(proxy(0).lock.acquire(self.name, {"wait_ms": 5000})))
        writer.start()
        wait_for(lambda: self.a.lock.info(self.name)["waiters"] == 1, "the writer to wait")
        self.assertFalse(try_lock(self.a, self.name, {"mode": "shared"})["granted"])
        self.assertFalse(try_lock(self.b, self.name, {"mode": "shared"})["granted"])  # the other gateway knows
        self.a.lock.release(reader)
        writer.join()
        self.assertTrue(got[0]["granted"])
        self.a.lock.release(got[0])
        self.assertTrue(try_lock(self.b, self.name, {"mode": "shared"})["granted"])

    def test_a_writer_who_gave_up_keeps_nobody_out(self):
        self.a.lock.acquire(self.name, {"mode": "shared"})
        self.assertFalse(self.a.lock.acquire(self.name, {"wait_ms": 200})["granted"])
        self.assertTrue(self.b.lock.acquire(self.name, {"mode": "shared", "wait_ms": 100})["granted"])

    def test_several_at_once(self):
        names = [f"{self.name}.{i}" for i in (3, 1, 2)]
        all_three = self.a.lock.acquire_many(names)
        self.assertEqual([lease["name"] for lease in all_three["leases"]], sorted(names))
        one = self.b.lock.acquire_many([names[1], self.name])
        self.assertEqual((one["granted"], one["name"]), (False, names[1]))
        self.assertTrue(try_lock(self.b, self.name)["granted"])  # nothing of it was kept
        self.assertTrue(self.b.lock.renew(all_three, 20000)["ok"])
        self.assertTrue(self.b.lock.release(all_three)["ok"])
        self.assertEqual(self.a.lock.list(f"{self.name}."), [])

    def test_crossed_pairs_do_not_deadlock(self):
        def work(g, names, out):
            with proxy(g) as gateway:
                for _ in range(15):
                    got = gateway.lock.acquire_many(names, {"wait_ms": 20000})
                    out.append(got["granted"] and gateway.lock.release(got)["ok"])

        x, y, out = f"{self.name}.x", f"{self.name}.y", []
        threads = [threading.Thread(target=work, args=(i % 2, [x, y] if i < 2 else [y, x], out)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(out, [True] * 60)

    def test_info_list_and_force(self):
        lease = self.a.lock.acquire(self.name, {"owner": "me"})
        info = self.b.lock.info(self.name)
        self.assertEqual((info["token"], info["holders"][0]["owner"], info["waiters"]), (lease["token"], "me", 0))
        self.assertEqual([lock["name"] for lock in self.b.lock.list(self.name)], [self.name])
        forced = self.b.lock.force_release(self.name, "the owner is on holiday")
        self.assertGreater(int(forced["token"]), int(lease["token"]))
        self.assertEqual(self.a.lock.check(lease), {"held": False, "count": 0, "remaining_ms": 0, "token": forced["token"]})
        self.assertTrue(try_lock(self.a, self.name)["granted"])

    def test_what_is_refused_and_how(self):
        self.assertEqual(self.fault("did you mean 'ttl_ms'?", self.a.lock.acquire, "x", {"ttl_s": 1}), -32602)
        self.assertEqual(self.fault("option 'ttl_ms' must be from 1 to", self.a.lock.acquire, "x", {"ttl_ms": 0}), -32602)
        self.assertEqual(self.fault("option 'mode' must be", self.a.lock.acquire, "x", {"mode": "both"}), -32602)
        self.assertEqual(self.fault("needs a name", self.a.lock.acquire, ""), -32602)
        self.assertEqual(self.fault("must be from 0 to 0", try_lock, self.a, "x", {"wait_ms": 5}), -32602)
        self.assertEqual(self.fault("no lock space is called 'nowhere'", self.a.lock.acquire, "x", {"db": "nowhere"}), -32004)
        self.assertEqual(self.fault("is a refusal", self.a.lock.release, {"granted": False}), -32602)
        self.assertEqual(self.fault("has no 'token'", self.a.lock.release, {"name": "x", "owner": "y"}), -32602)
        self.assertEqual(self.a.system.methodSignature("lock.acquire"), [["struct", "string"], ["struct", "string", "struct"]])


class Time(LockCase):
    def test_a_try_answers_at_once(self):
        self.a.lock.acquire(self.name)
        for g in (self.a, self.b):
            with self.takes(0, 0.1 * slack):
                self.assertFalse(try_lock(g, self.name)["granted"])

    def test_a_wait_ends_when_it_says(self):
        self.a.lock.acquire(self.name)
        for g in (self.a, self.b):
            for wait in (100, 700):
                with self.takes(wait / 1000, wait / 1000 + 0.25 * slack):
                    self.assertFalse(g.lock.acquire(self.name, {"wait_ms": wait})["granted"])

    def hand_off(self, waiting_gateway):
        lease = self.a.lock.acquire(self.name)
        got = []

        def wait():
            lease = proxy(waiting_gateway).lock.acquire(self.name, {"wait_ms": 10000})
            got.append((time.monotonic(), lease))

        waiter = threading.Thread(target=wait)
        waiter.start()
        wait_for(lambda: proxy(waiting_gateway).lock.info(self.name)["waiters"] == 1, "the waiter to wait")
        released = time.monotonic()
        self.a.lock.release(lease)
        waiter.join()
        self.assertTrue(got[0][1]["granted"])
        self.assertLess(got[0][0] - released, 0.1 * slack)
        self.a.lock.release(got[0][1])

    def test_a_hand_off_within_a_gateway(self):
        for _ in range(5):
            self.hand_off(0)

    def test_a_hand_off_to_another_gateway(self):
        for _ in range(5):
            self.hand_off(1)

    def test_those_who_wait_are_served_in_order(self):
        lease = self.a.lock.acquire(self.name)
        order = []

        def wait(i):
            with proxy(0) as g:
                got = g.lock.acquire(self.name, {"wait_ms": 10000})
                order.append(i)
                g.lock.release(got)

        waiters = []
        for i in range(6):
            waiters.append(threading.Thread(target=wait, args=(i,)))
            waiters[-1].start()
            wait_for(lambda: self.a.lock.info(self.name)["waiters"] == i + 1, "the next one to wait")
        self.a.lock.release(lease)
        for waiter in waiters:
            waiter.join()
        self.assertEqual(order, list(range(6)))

    def test_a_lease_ends_neither_early_nor_late(self):
        for ttl in (lease_ms // 2, lease_ms):
            started = time.monotonic()
            self.assertTrue(self.a.lock.acquire(self.name, {"ttl_ms": ttl})["granted"])
            granted = time.monotonic()
            lease = self.b.lock.acquire(self.name, {"wait_ms": 20000})
            now = time.monotonic()
            self.assertTrue(lease["granted"])
            self.assertGreaterEqual(now - started, ttl / 1000)
            self.assertLess(now - granted, ttl / 1000 + 0.25 * slack)
            self.b.lock.release(lease)


class Faults(LockCase):
    def test_a_caller_who_goes_leaves_the_line(self):
        lease = self.a.lock.acquire(self.name)
        # By hand: xmlrpc.client would call again when its connection is cut.
        caller = http.client.HTTPConnection("127.0.0.1", gateways[0].port)
        caller.request("POST", "/RPC2", xmlrpc.client.dumps((self.name, {"wait_ms": 30000}), "lock.acquire"))
        wait_for(lambda: self.a.lock.info(self.name)["waiters"] == 1, "him to wait")
        caller.close()
        wait_for(lambda: self.a.lock.info(self.name)["waiters"] == 0, "his place to be free", 5)
        self.a.lock.release(lease)
        self.assertTrue(try_lock(self.b, self.name)["granted"])

    def test_locks_outlive_their_gateway(self):
        gateway = start()
        with xmlrpc.client.ServerProxy(gateway.url) as g:
            lease = g.lock.acquire(self.name, {"ttl_ms": 20000})
        gateway.kill()
        gateway.stop()
        with self.takes(1.49, 1.5 + 0.35 * slack):
            self.assertTrue(self.a.lock.renew(lease, 1500)["ok"])  # any gateway serves who has the lease
            self.assertTrue(self.b.lock.acquire(self.name, {"wait_ms": 15000})["granted"])

    def test_a_gateway_that_was_stopped_renews_nothing_that_ended(self):
        gateway = start()
        try:
            with xmlrpc.client.ServerProxy(gateway.url) as g:
                session = g.lock.open_session(lease_ms)["session"]
                old = g.lock.acquire(self.name, {"session": session})
                gateway.process.send_signal(signal.SIGSTOP)
                new = self.a.lock.acquire(self.name, {"wait_ms": 20000, "ttl_ms": 60000})
                self.assertTrue(new["granted"])
                gateway.process.send_signal(signal.SIGCONT)
                self.assertFalse(g.lock.renew(old, 1000)["ok"])
                self.assertFalse(g.lock.release(old)["ok"])
                self.assertTrue(self.a.lock.check(new)["held"])
                self.assertGreater(int(new["token"]), int(old["token"]))
        finally:
            gateway.process.send_signal(signal.SIGCONT)
            gateway.stop()

    def test_a_stale_writer_is_refused_by_the_database(self):
        old = self.a.lock.acquire(self.name, {"ttl_ms": lease_ms})
        new = self.b.lock.acquire(self.name, {"wait_ms": 20000})
        self.b.sql.execute("INSERT INTO counter VALUES (?, 0)", [self.name])
        write = "UPDATE counter SET n = n + 1 WHERE name = ?"
        self.b.sql.execute(write, [self.name], {"fence": {"lock": self.name, "token": new["token"]}})
        self.assertEqual(self.fault("stale fencing token", self.a.sql.execute, write, [self.name], {"fence": {"lock": self.name, "token": old["token"]}}), -32005)
        self.assertEqual(self.a.sql.query("SELECT n FROM counter WHERE name = ?", [self.name], {"level": "primary"})["rows"], [[1]])


class ServerStore(unittest.TestCase):
    def test_conformance(self):
        run_suite("lock_server_suite", SLUICE_SERVER=cluster.url())


class ServerCrash(LockCase):
    def test_a_server_that_was_killed_is_used_again_within_5_s(self):
        held = self.a.lock.acquire(self.name, {"ttl_ms": 60000})
        cluster.kill(0)
        try:
            with self.assertRaises(xmlrpc.client.Fault):
                try_lock(self.b, f"{self.name}.other")
        finally:
            cluster.start(0)
        with self.takes(0, 5):
            for g in (self.a, self.b):
                other = g.lock.acquire(f"{self.name}.other", {"wait_ms": 5000})
                self.assertTrue(other["granted"])
                self.assertTrue(g.lock.release(other)["ok"])
        self.assertFalse(try_lock(self.b, self.name)["granted"])  # what was acknowledged is not forgotten
        self.assertTrue(self.b.lock.check(held)["held"])
        self.assertTrue(self.a.lock.release(held)["ok"])
        self.assertGreater(int(self.b.lock.acquire(self.name)["token"]), int(held["token"]))


class Example(LockCase):
    def test_nothing_is_sold_twice(self):
        script = os.path.join(os.environ["SLUICE_SOURCE"], "examples/3_locks/seckill.py")
        done = subprocess.run([sys.executable, script, *(gateway.url for gateway in gateways)], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.stdout.splitlines(), ["bought: 10, sold out: 40, no lock: 0", "left: 0, sales: 10"], done.stderr)


class Sessions(LockCase):
    def test_kept_while_pinged_and_free_soon_after(self):
        session = self.a.lock.open_session(lease_ms)["session"]
        lease = self.a.lock.acquire(self.name, {"session": session})
        self.assertEqual((lease["owner"], lease["session"]), (session, session))
        until = time.monotonic() + lease_ms / 1000 + 1
        while time.monotonic() < until:
            self.assertEqual(self.a.lock.ping(session)["leases"], 1)
            self.assertFalse(try_lock(self.b, self.name)["granted"])
        with self.takes(0.8 * lease_ms / 1000, 2 * lease_ms / 1000 + 0.5 * slack):
            self.assertTrue(self.b.lock.acquire(self.name, {"wait_ms": 20000})["granted"])
        lost = self.a.lock.ping(session)["lost"]
        self.assertEqual([(loss["name"], loss["token"]) for loss in lost], [(self.name, lease["token"])])
        self.assertIn(lost[0]["reason"], ("taken", "expired"))
        self.assertEqual(try_lock(self.a, self.name, {"session": session})["lost"], lost)

    def test_closing_releases_everything(self):
        session = self.a.lock.open_session()["session"]
        for name in ("x", "y", "y"):
            self.a.lock.acquire(f"{self.name}.{name}", {"session": session})
        self.assertEqual(self.a.lock.close_session(session)["released"], 2)
        self.assertEqual(self.b.lock.list(f"{self.name}."), [])
        self.assertEqual(self.fault("no session is called", self.a.lock.ping, session), -32004)

    def test_news_by_long_poll(self):
        session = self.a.lock.open_session(5000)["session"]
        self.a.lock.acquire(self.name, {"session": session})
        news = []
        watcher = threading.Thread(target=lambda: news.extend(proxy(0).lock.watch(session)))
        watcher.start()
        self.a.lock.force_release(self.name, "spring cleaning")
        watcher.join()
        self.assertEqual([(n["event"], n["name"], n["reason"]) for n in news], [("lost", self.name, "forced: spring cleaning")])

    def test_a_zerorpc_stream_keeps_the_session_alive(self):
        session = self.a.lock.open_session(lease_ms)["session"]
        self.a.lock.acquire(self.name, {"session": session})
        news = []

        def watch():
            with Client(gateways[0].endpoint) as client:
                news.append(next(client.stream("lock.watch", session)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        until = time.monotonic() + lease_ms / 1000 + 1
        while time.monotonic() < until:
            self.assertFalse(try_lock(self.b, self.name)["granted"])
        self.a.lock.force_release(self.name, "enough")
        watcher.join()
        self.assertEqual(news[0]["reason"], "forced: enough")


class Contention(LockCase):
    """Many processes at both gateways. Each adds one to a plain file under the lock, by reading, waiting and writing; now and then one sleeps
    past the end of his lease, and then writes to the database all the same."""

    def test_nothing_is_lost_and_tokens_rise(self):
        locks = [f"{self.name}.{i}" for i in range(3)]
        for lock in locks:
            self.a.sql.execute("INSERT INTO counter VALUES (?, 0)", [lock])
        fork = multiprocessing.get_context("fork")
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            for i in range(3):
                pathlib.Path(folder, str(i)).write_text("0")
            results = fork.Queue()
            workers = [fork.Process(target=contend, args=(gateways[n % 2].url, locks, folder, SECONDS, results)) for n in range(12)]
            for worker in workers:
                worker.start()
            done = [results.get(timeout=SECONDS + 50) for _ in workers]
            for worker in workers:
                worker.join()
            self.assertEqual([d["problem"] for d in done if d["problem"]], [])
            for i, lock in enumerate(locks):
                turns = sum(d["turns"][i] for d in done)
                self.assertGreater(turns, 12, "hardly anybody had his turn")
                self.assertEqual(int(pathlib.Path(folder, str(i)).read_text()), turns)
                tokens = [int(line) for line in pathlib.Path(folder, f"{i}.tokens").read_text().split()]
                self.assertEqual(tokens, sorted(set(tokens)))
                written = sum(d["written"][i] for d in done)
                self.assertEqual(self.a.sql.query("SELECT n FROM counter WHERE name = ?", [lock], {"level": "primary"})["rows"], [[written]])
            self.assertGreater(sum(d["refused"] for d in done), 0)


def contend(url, locks, folder, seconds, results):
    done = {"turns": [0, 0, 0], "written": [0, 0, 0], "refused": 0, "problem": ""}
    try:
        g = xmlrpc.client.ServerProxy(url, allow_none=True)
        chance = random.Random(os.getpid())
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            i = chance.randrange(3)
            late = chance.random() < 0.03
            ttl = lease_ms // 10 if late else 20000
            lease = g.lock.acquire(locks[i], {"wait_ms": 20000, "ttl_ms": ttl})
            if not lease["granted"]:
                raise AssertionError(f"not granted: {lease}")
            with open(os.path.join(folder, f"{i}.tokens"), "a") as f:
                f.write(lease["token"] + "\n")
            if late:
                time.sleep(2.5 * ttl / 1000)
            else:
                path = pathlib.Path(folder, str(i))
                n = int(path.read_text())
                time.sleep(chance.random() * 0.003)
                path.write_text(str(n + 1))
                done["turns"][i] += 1
            try:
                g.sql.execute("UPDATE counter SET n = n + 1 WHERE name = ?", [locks[i]], {"fence": {"lock": locks[i], "token": lease["token"]}})
                done["written"][i] += 1
            except xmlrpc.client.Fault as fault:
                if not late or "stale fencing token" not in fault.faultString:
                    raise
                done["refused"] += 1
            if g.lock.release(lease)["ok"] == late:
                raise AssertionError(f"a lease of {ttl} ms was {'still' if late else 'no longer'} held")
    except Exception as problem:  # told to the test, which fails by it
        done["problem"] = f"{type(problem).__name__}: {problem}"
    results.put(done)
