"""More calls than can be served: short waits, prompt refusals, turns for all callers, and nothing that is refused for a burst."""

import http.client
import os
import statistics
import subprocess
import tempfile
import threading
import time
import unittest
import xmlrpc.client

from callers import OVERLOADED, Caller, crowd, pinned
from gateway import SLUICE, Gateway, wait_for

def slow(rows):
    """A read that costs what counting so many rows costs."""
    return f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT count(*) FROM n"


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
        # The crowd is not to take the gateway's time.
        with Gateway(config="[gateway]\nthreads = 1\n[sqlite]\nreaders = 1\n", wrap=pinned(0)) as gateway:
            asked = lambda a_second, seconds: crowd(gateway, "sql.query", slow(20_000), a_second, seconds)
            # What is promised (goodput 0.9 of the peak, p99 three times the unloaded one, refusals in less than 5 ms) bench/overload measures, and
            # test_overload_clusters where a call takes a time. Here it takes work, and a machine that others use does not always do as much of it:
            # the medians decide, of rounds that each measure all.
            rounds, capacities = [], [asked(0, 2)["goodput"]]
            while len(rounds) < 5:
                unloaded, twice = asked(capacities[-1] / 4, 2), asked(capacities[-1] * 2, 3)
                capacities.append(asked(0, 2)["goodput"])
                capacity = statistics.mean(capacities[-2:])
                print(f"{capacities[-2]:.0f}, then {capacities[-1]:.0f} calls/s at most, p99 {unloaded['p99_ms']} ms; at twice the first: {twice}", flush=True)
                rounds.append((twice["goodput"] / capacity, twice["p99_ms"] / unloaded["p99_ms"], twice["refused_p99_ms"],
                               twice["refused"] / twice["asked"], twice["failed"] / twice["asked"]))
                goodput, slower, refusal, refused, failed = map(statistics.median, zip(*rounds))
                if len(rounds) >= 3 and goodput >= 0.9 and slower <= 3 and refusal < 5:
                    break
            self.assertGreaterEqual(goodput, 0.7, rounds)
            self.assertLess(slower, 4, rounds)
            self.assertLess(refusal, 8, rounds)
            self.assertGreater(refused, 0.2, rounds)
            self.assertLess(failed, 0.01, rounds)


class RetryAfter(unittest.TestCase):
    def answer(self, connection, method, *args):
        connection.request("POST", "/", xmlrpc.client.dumps(args, method))
        response = connection.getresponse()
        return response.getheader("Retry-After"), response.read().decode()

    def test_every_overload_says_when_to_try_again(self):
        with Gateway(config="[lock]\nwaiters = 1\nsessions = 1\n[sql]\ncursors = 1\n") as gateway, Caller(gateway) as caller:
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
            http_one.close()

        # A gateway of its own: what waits for a lock reads as well.
        with Gateway(config="[sqlite]\nreaders = 1\nreads_waiting = 1\n") as gateway, Caller(gateway) as caller:
            for _ in range(3):
                caller.ask("sql.query", slow(1_000_000))
            refused = [a.value for a in caller.wait() if a.name == OVERLOADED]
            self.assertGreaterEqual(len(refused), 1)
            self.assertIn("sqlite.reads_waiting", refused[0])
            self.assertRegex(refused[0], r"\(retry_after_ms=\d+\)$")


if __name__ == "__main__":
    unittest.main()
