"""Locks while their servers and gateways are killed and frozen: nobody enters while another's lease lasts, tokens only rise, and work goes on.

SLUICE_LOCK_SECONDS says how long each store is tormented: 10 s, unless it is to be a long run.
"""

import contextlib
import fcntl
import http.client
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

for folder in ("tests/integration", "tests/clusters"):
    sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], folder))

from gateway import Gateway  # noqa: E402
from mariadb import MariaDB  # noqa: E402
from postgres import Postgres  # noqa: E402
from redis_masters import Redis  # noqa: E402
from zookeeper_nodes import ZooKeeper  # noqa: E402

SECONDS = float(os.environ.get("SLUICE_LOCK_SECONDS", "10"))
LOCKS, WORKERS = 3, 8
TTL_MS, WAIT_MS = 2000, 5000
MAY_PASS = (-32010, -32011, -32012, -32013)  # overloaded, deadline exceeded, unavailable, outcome unknown


class Door:
    """What a lock is to guard: who is inside, until when his lease lasts at least, and the last token. In a file, changed under the kernel's own lock."""

    def __init__(self, path):
        self.path = path
        with open(path, "w") as f:
            json.dump({"who": None, "until": 0, "token": 0, "entered": 0}, f)

    @contextlib.contextmanager
    def state(self):
        with open(self.path, "r+") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            state = json.load(f)
            yield state
            f.seek(0)
            f.truncate()
            json.dump(state, f)

    def enter(self, who, token, until):
        """False: his lease has ended before he came."""
        with self.state() as state:
            now = time.monotonic()
            if now >= until:
                return False
            if state["who"] and state["until"] > now:
                raise AssertionError(f"{who} entered with token {token} while {state['who']} is inside with {state['token']} for {state['until'] - now:.3f} s more")
            if token <= state["token"]:
                raise AssertionError(f"{who} entered with token {token} after {state['token']}")
            state.update(who=who, until=until, token=token, entered=state["entered"] + 1)
        return True

    def leave(self, who):
        with self.state() as state:
            if state["who"] == who:
                state["who"] = None


def take_turns(doors, urls, seed, ends, results):
    chance = random.Random(seed)
    told = {"turns": 0, "faults": 0, "problem": ""}
    turn = 0
    try:
        while time.monotonic() < ends:
            with contextlib.suppress(OSError, http.client.HTTPException), xmlrpc.client.ServerProxy(chance.choice(urls)) as g:
                while time.monotonic() < ends:
                    turn += 1
                    who, name = f"{seed}.{turn}", chance.randrange(LOCKS)
                    asked = time.monotonic()
                    try:
                        lease = g.lock.acquire(f"door {name}", {"ttl_ms": TTL_MS, "wait_ms": WAIT_MS})
                        # He can only be sure of what was left when he asked.
                        if not lease["granted"] or not doors[name].enter(who, int(lease["token"]), asked + lease["remaining_ms"] / 1000):
                            continue
                        time.sleep(chance.random() * 0.005)
                        doors[name].leave(who)
                        told["turns"] += 1
                        g.lock.release(lease)
                    except xmlrpc.client.Fault as fault:
                        if fault.faultCode not in MAY_PASS:
                            raise
                        told["faults"] += 1
                        time.sleep(0.02)
    except Exception as problem:
        told["problem"] = f"{type(problem).__name__}: {problem}"
    results.put(told)


class Torment(threading.Thread):
    """Every second or so one server, or one gateway, is killed and started again, or frozen for a while."""

    def __init__(self, cluster, gateways, start, ends):
        super().__init__()
        self.cluster, self.gateways, self.start_gateway, self.ends = cluster, gateways, start, ends
        self.blows, self.problem = [], None

    def run(self):
        chance = random.Random(17)
        try:
            while time.monotonic() < self.ends - 2:
                time.sleep(0.5 + chance.random())
                blow = chance.choice([self.kill_server, self.freeze_server] * 2 * bool(self.cluster) + [self.kill_gateway, self.freeze_gateway])
                self.blows.append(blow.__name__)
                blow(chance)
        except Exception as problem:
            self.problem = problem

    def kill_server(self, chance):
        node = chance.randrange(self.cluster.nodes)
        self.cluster.kill(node)
        time.sleep(chance.random())
        self.cluster.start(node)

    def freeze_server(self, chance):
        node = chance.randrange(self.cluster.nodes)
        self.cluster.freeze(node)
        time.sleep(0.3 + chance.random() * 3)
        self.cluster.thaw(node)

    def kill_gateway(self, chance):
        number = chance.randrange(len(self.gateways))
        self.gateways[number].kill()
        self.gateways[number].stop()
        self.gateways[number] = self.start_gateway(number)

    def freeze_gateway(self, chance):
        gateway = chance.choice(self.gateways)
        gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(0.3 + chance.random() * 3)
        gateway.process.send_signal(signal.SIGCONT)


class UnderTorture(unittest.TestCase):
    def torture(self, cluster, backend, **gateway):
        ports = [None, None]

        def start(number):
            started = Gateway(data=gateway.get("data") or os.path.join(folder, f"{number if cluster else 0}.db"), config=f'[lock]\nbackend = "{backend}"\n', port=ports[number])
            ports[number] = started.port
            return started

        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            gateways = [start(number) for number in range(2)]
            try:
                doors = [Door(os.path.join(folder, f"door{i}")) for i in range(LOCKS)]
                ends = time.monotonic() + SECONDS
                fork = multiprocessing.get_context("fork")
                results = fork.Queue()
                workers = [fork.Process(target=take_turns, args=(doors, [g.url for g in gateways], n, ends, results)) for n in range(WORKERS)]
                [w.start() for w in workers]
                torment = Torment(cluster, gateways, start, ends)
                torment.start()
                told = [results.get(timeout=SECONDS + 60) for _ in workers]
                [w.join() for w in workers]
                torment.join()
                if torment.problem:
                    raise torment.problem
                self.assertEqual([t["problem"] for t in told if t["problem"]], [])
                turns = sum(t["turns"] for t in told)
                print(f"\n{backend.partition(':')[0]}: {turns} turns, {sum(t['faults'] for t in told)} faults, {len(torment.blows)} blows", flush=True)
                self.assertGreater(turns, 20, "hardly anybody had his turn")
                # And all is free again within a lease.
                with xmlrpc.client.ServerProxy(gateways[0].url) as g:
                    for name in range(LOCKS):
                        self.assertTrue(g.lock.acquire(f"door {name}", {"wait_ms": 15000})["granted"])
            finally:
                [g.stop() for g in gateways]

    def test_sqlite(self):
        self.torture(None, "sqlite")

    def test_postgres(self):
        with Postgres(replicas=0) as cluster:
            self.torture(cluster, "database:main", data=cluster.url())

    def test_mariadb(self):
        with MariaDB(replicas=0) as cluster:
            self.torture(cluster, "database:main", data=cluster.url())

    def test_redis(self):
        with Redis(fsync=True) as cluster:
            self.torture(cluster, f"redis://{cluster.hosts()}")

    def test_redlock(self):
        with Redis(replicas=2, fsync=True) as cluster:
            self.torture(cluster, f"redlock://{cluster.hosts()}")

    def test_zookeeper(self):
        with ZooKeeper(replicas=2) as cluster:
            self.torture(cluster, f"zookeeper://{cluster.hosts()}/test/sluice")


if __name__ == "__main__":
    unittest.main()
