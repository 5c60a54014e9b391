"""More calls than can be served: short waits, prompt refusals, turns for all callers, and nothing that is refused for a burst."""

import collections
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
import unittest
import xmlrpc.client

import beside  # noqa: F401 - puts the zerorpc client on the path
import msgpack
import zmq
from gateway import SLUICE, Gateway, wait_for

OVERLOADED = "BusyError"


def slow(rows):
    """A read that costs what counting so many rows costs."""
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT count(*) FROM n"


Answer = collections.namedtuple("Answer", "name value took")  # name: None, or the exception's; value: its message then


class Caller:
    """One zerorpc connection with as many calls in flight as one likes."""

    def __init__(self, gateway):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndhwm = self.socket.rcvhwm = 0
        self.socket.connect(gateway.endpoint)
        self.sent = 0
        self.began = {}
        self.answers = []

    def ask(self, method, *args):
        self.sent += 1
        message_id = b"%032d" % self.sent
        self.began[message_id] = time.monotonic()
        self.socket.send_multipart([b"", msgpack.packb([{"message_id": message_id, "v": 3}, method, list(args)])])

    def take(self):
        """Reads what has come."""
        while True:
            try:
                header, name, args = msgpack.unpackb(self.socket.recv_multipart(zmq.DONTWAIT)[-1])
            except zmq.Again:
                return
            if name not in ("OK", "ERR"):
                continue
            began = self.began.pop(header["response_to"])
            name, value = (args[0], args[1]) if name == "ERR" else (None, args[0])
            self.answers.append(Answer(name, value, time.monotonic() - began))

    def wait(self, seconds=30):
        deadline = time.monotonic() + seconds
        while self.began:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.began)} calls were not answered within {seconds} s")
            self.socket.poll(100)
            self.take()
        answers, self.answers = self.answers, []
        return answers

    def call(self, method, *args):
        self.ask(method, *args)
        return self.wait()[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Overload(unittest.TestCase):
    def test_a_burst_is_served_whole(self):
        with Gateway() as gateway, Caller(gateway) as caller:
            for _ in range(1500):
                caller.ask("sql.query", slow(3000))
            self.assertEqual({a.name for a in caller.wait(60)}, {None})

    def test_callers_who_await_each_answer_are_served_however_many_they_are(self):
        with Gateway() as gateway, Caller(gateway) as caller:
            for _ in range(200):
                caller.ask("sql.query", slow(10_000))
            end = time.monotonic() + 2
            while time.monotonic() < end:
                caller.socket.poll(100)
                before = len(caller.answers)
                caller.take()
                for _ in range(len(caller.answers) - before):
                    caller.ask("sql.query", slow(10_000))
            self.assertEqual({a.name for a in caller.wait(60)}, {None})

    def test_what_would_be_too_late_is_refused_at_once_and_what_is_too_late_is_not_run(self):
        with Gateway(config="[sqlite]\nreaders = 1\n") as gateway, Caller(gateway) as greedy, Caller(gateway) as other:
            statement = slow(50_000)
            # After an idle time nothing is known: they are taken, and those that come up too late are not run.
            for _ in range(100):
                greedy.ask("sql.query", statement, [], {"timeout_ms": 150})
            answers = greedy.wait()
            served = [a for a in answers if a.name is None]
            self.assertGreater(len(served), 0)
            self.assertLessEqual({a.name for a in answers}, {None, "TimeoutExpired"})
            self.assertGreater(sum(a.name == "TimeoutExpired" for a in answers), 10)
            replica = other.call("sql.topology").value["nodes"][1]
            self.assertLessEqual(replica["calls"], len(served) + 1)

            for _ in range(300):
                greedy.ask("sql.query", statement)
            wait_for(lambda: (greedy.take(), len(greedy.answers) > 20)[1], "some of them being served")
            began = time.monotonic()
            greedy.ask("sql.query", statement, [], {"timeout_ms": 50})
            last = b"%032d" % greedy.sent
            wait_for(lambda: (greedy.take(), last not in greedy.began)[1], "the refusal")
            self.assertLess(time.monotonic() - began, 0.05)
            refused = [a.value for a in greedy.answers if a.name == OVERLOADED]
            self.assertEqual(len(refused), 1, greedy.answers)
            self.assertIn("before its turn", refused[0])
            self.assertIn("retry_after_ms=", refused[0])
            # Another caller has his turn next, and none of them before him.
            self.assertIsNone(other.call("sql.query", statement, [], {"timeout_ms": 1000}).name)
            self.assertEqual({a.name for a in greedy.wait(60)}, {None, OVERLOADED})

    def test_a_modest_caller_has_his_turn_beside_a_greedy_one(self):
        with Gateway(config="[sqlite]\nreaders = 1\n[limits]\nqueue_ms = 0\n") as gateway, Caller(gateway) as greedy, Caller(gateway) as modest:
            modest.call("sql.execute", "CREATE TABLE t(x)")
            write = "INSERT INTO t " + slow(20_000)
            for method, statement in (("sql.query", slow(20_000)), ("sql.execute", write)):
                alone = statistics.median(modest.call(method, statement).took for _ in range(20))
                for _ in range(500):
                    greedy.ask(method, statement)
                wait_for(lambda: (greedy.take(), len(greedy.answers) > 10)[1], "the greedy one's calls")
                beside_it = [modest.call(method, statement) for _ in range(20)]
                self.assertTrue(greedy.began, "the greedy one's calls were over before")
                self.assertEqual({a.name for a in beside_it}, {None})
                took = statistics.median(a.took for a in beside_it)
                self.assertLess(took, 6 * alone + 0.005, f"{method}: {took * 1000:.1f} ms beside 500 calls, {alone * 1000:.1f} ms alone")
                greedy.wait(60)

    def test_principals_have_turns_and_not_connections(self):
        with tempfile.TemporaryDirectory() as folder:
            users = os.path.join(folder, "users")
            for name in ("greedy", "modest"):
                subprocess.run([SLUICE, "user", "add", name, "--users", users, "--role", "all"], input="secret-of-a-user\n", text=True, check=True, capture_output=True)
            config = f'[access]\nusers = "{users}"\n[role.all]\nmethods = ["*"]\nstatements = "write"\n[sqlite]\nreaders = 1\n[limits]\nqueue_ms = 0\n'
            with Gateway(config=config) as gateway:
                url = lambda name: f"http://{name}:secret-of-a-user@127.0.0.1:{gateway.port}"
                statement = slow(20_000)
                over = threading.Event()

                def ask():
                    with xmlrpc.client.ServerProxy(url("greedy")) as g:
                        while not over.is_set():
                            g.sql.query(statement)

                with xmlrpc.client.ServerProxy(url("greedy")) as g:
                    g.add(1, 2)  # logged in: not forty at once
                with xmlrpc.client.ServerProxy(url("modest")) as modest:
                    def timed():
                        began = time.monotonic()
                        modest.sql.query(statement)
                        return time.monotonic() - began
                    alone = statistics.median(timed() for _ in range(20))
                    threads = [threading.Thread(target=ask) for _ in range(40)]
                    for thread in threads:
                        thread.start()
                    try:
                        wait_for(lambda: modest.sql.topology()["nodes"][1]["waiting"] > 20, "a queue")
                        beside_it = statistics.median(timed() for _ in range(20))
                    finally:
                        over.set()
                        for thread in threads:
                            thread.join()
                self.assertLess(beside_it, 6 * alone + 0.01, f"{beside_it * 1000:.1f} ms beside 40 connections, {alone * 1000:.1f} ms alone")

    def test_at_twice_the_capacity_calls_are_served_soon_or_refused_at_once(self):
        pin = (lambda core: ["taskset", "-c", str(core)]) if os.cpu_count() > 1 else lambda _: []  # the crowd is not to take the gateway's time
        with Gateway(config="[gateway]\nthreads = 1\n[sqlite]\nreaders = 1\n", wrap=pin(0)) as gateway, tempfile.NamedTemporaryFile("w", suffix=".xml") as body:
            body.write(xmlrpc.client.dumps((slow(20_000),), "sql.query"))
            body.flush()

            def crowd(a_second, seconds):
                """Calls by the clock, whether or not they are answered; 0: eight callers who wait for their answers."""
                command = [*pin(1), os.path.join(os.environ["SLUICE_BUILD"], "overload_load"), str(gateway.port), body.name, str(a_second), str(seconds)]
                return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

            # bench/overload measures what is promised: goodput 0.9 of the peak, p99 three times the unloaded one, refusals in less than 5 ms.
            # A round that something else on this machine disturbed must not decide: the medians do, of rounds that each measure all.
            rounds = []
            while len(rounds) < 5:
                capacity = crowd(0, 2)["goodput"]
                unloaded, twice = crowd(capacity / 4, 2), crowd(capacity * 2, 3)
                rounds.append((twice["goodput"] / capacity, twice["p99_ms"] / unloaded["p99_ms"], twice["refused_p99_ms"]))
                goodput, slower, refusal = map(statistics.median, zip(*rounds))
                print(f"{capacity:.0f} calls/s at most, p99 {unloaded['p99_ms']} ms; at twice that: {twice}", flush=True)
                self.assertGreater(twice["refused"], 0)
                self.assertLess(twice["failed"], 0.01 * twice["asked"])
                if len(rounds) >= 3 and goodput >= 0.9 and slower <= 3 and refusal < 5:
                    return
            self.assertGreaterEqual(goodput, 0.85, rounds)
            self.assertLess(slower, 4, rounds)
            self.assertLess(refusal, 8, rounds)


class RetryAfter(unittest.TestCase):
    def answer(self, connection, method, *args):
        connection.request("POST", "/", xmlrpc.client.dumps(args, method))
        response = connection.getresponse()
        return response.getheader("Retry-After"), response.read().decode()

    def test_every_overload_says_when_to_try_again(self):
        config = "[sqlite]\nreaders = 1\nreads_waiting = 1\n[lock]\nwaiters = 1\nsessions = 1\n[sql]\ncursors = 1\n"
        with Gateway(config=config) as gateway, Caller(gateway) as caller:
            http_one = http.client.HTTPConnection("127.0.0.1", gateway.port)
            with xmlrpc.client.ServerProxy(gateway.url) as g:
                g.lock.acquire("held", {"ttl_ms": 30_000})
                caller.ask("lock.acquire", "held", {"wait_ms": 20_000})
                wait_for(lambda: g.lock.info("held")["waiters"] == 1, "the line to be full")
                after, text = self.answer(http_one, "lock.acquire", "held", {"wait_ms": 1000})
                self.assertIn("lock.waiters", text)
                self.assertGreaterEqual(int(after), 1)

                g.lock.open_session(30_000)
                after, text = self.answer(http_one, "lock.open_session", 30_000)
                self.assertIn("lock.sessions", text)
                self.assertGreaterEqual(int(after), 1)

                g.sql.open("SELECT 1")
                after, text = self.answer(http_one, "sql.open", "SELECT 1")
                self.assertIn("sql.cursors", text)
                self.assertGreaterEqual(int(after), 1)

            with Caller(gateway) as other:
                for _ in range(3):
                    other.ask("sql.query", slow(1_000_000))
                refused = [a.value for a in other.wait() if a.name == OVERLOADED]
                self.assertGreaterEqual(len(refused), 1)
                self.assertIn("sqlite.reads_waiting", refused[0])
                self.assertRegex(refused[0], r"\(retry_after_ms=\d+\)$")
            http_one.close()


if __name__ == "__main__":
    unittest.main()
