"""zerorpc clients, the real one of Node and a small one of ours in Python, against the real program."""

import json
import os
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
import msgpack
import zmq
from gateway import Gateway, wait_for
from zerorpc_client import Client, RemoteError, TimeoutExpired

NODE_MODULES = os.path.join(os.environ["SLUICE_SOURCE"], "tests/integration/node/node_modules")


def setUpModule():
    global gateway, ipc
    ipc = f"ipc:///tmp/sluice-test-{os.getpid()}.ipc"
    gateway = Gateway("--zerorpc", ipc)


def tearDownModule():
    assert gateway.stop() == 0
    assert not os.path.exists(ipc.removeprefix("ipc://")), "the file of the ipc endpoint is still there"


def client(**options):
    return Client(gateway.endpoint, **options)


class Python(unittest.TestCase):
    def test_the_seed_snippet(self):
        with client() as c:
            self.assertEqual(c.add(88, 77), 165)

    def test_ipc_is_an_endpoint_too(self):
        with Client(ipc) as c:
            self.assertEqual(c.add(1, 2), 3)

    def test_values(self):
        with client() as c:
            for value in [None, True, 2**63 - 1, -2**63, 2**64 - 1, 1.5, "é😀", b"\x00\xff", [], {"a": [1, {"b": None}]}, msgpack.ExtType(5, b"abc")]:
                self.assertEqual(c.echo(value), value)

    def test_errors(self):
        with client() as c:
            for call, name, message in [
                (lambda: c("nosuch"), "NameError", "nosuch"),
                (lambda: c("add", 1), "TypeError", "missing 1 required positional argument: 'b'"),
                (lambda: c("divide", 1, 0), "ZeroDivisionError", "division by zero"),
                (lambda: c("probe.fail", "KeyError", "'k'"), "KeyError", "'k'"),
                (lambda: c("sql.query", "SELECT nmae"), "SqlError", "no such column"),
            ]:
                with self.assertRaises(RemoteError) as caught:
                    call()
                self.assertEqual(caught.exception.name, name)
                self.assertIn(message, caught.exception.msg)
                self.assertIsNone(caught.exception.traceback)

    def test_streams(self):
        with client() as c:
            for n in (0, 1, 2, 99, 100, 101, 1000):
                self.assertEqual(list(c.stream("probe.count", n)), list(range(n)))
            seen = []
            with self.assertRaises(RemoteError):
                for n in c.stream("probe.count_then_fail", 150):
                    seen.append(n)
            self.assertEqual(seen, list(range(150)))
            rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, 'row ' || i FROM n"
            self.assertEqual(sum(1 for _ in c.stream("sql.stream", rows)), 5000)

    def test_a_stream_that_is_not_read_costs_its_window(self):
        before = gateway.rss_kb()
        with client() as c:
            stream = c.stream("probe.count", 10**15)
            self.assertEqual([next(stream) for _ in range(300)], list(range(300)))
            with client() as other:
                self.assertEqual(other.add(1, 2), 3)
        self.assertLess(gateway.rss_kb() - before, 20_000)

    def test_a_long_call_is_kept_alive_by_heartbeats(self):
        with client(heartbeat=1) as c:
            with self.assertRaises(Exception):
                c("probe.sleep", 8)  # the server beats every 5 s, we expect 1: lost
        with client() as c:
            self.assertEqual(c("probe.sleep", 12), "slept")

    def test_busy_sql_starves_no_heartbeat_and_no_neighbour(self):
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        def busy():
            with client() as c:
                with self.assertRaises(RemoteError):
                    c("sql.query", endless, None, {"timeout_ms": 3000})
        thread = threading.Thread(target=busy)
        thread.start()
        slowest = 0
        with client() as c:
            while thread.is_alive():
                started = time.monotonic()
                self.assertEqual(c.add(1, 2), 3)
                slowest = max(slowest, time.monotonic() - started)
        self.assertLess(slowest, 1)
        thread.join()

    def test_timeouts_are_the_clients(self):
        with client(timeout=0.3) as c:
            with self.assertRaises(TimeoutExpired):
                c("probe.sleep", 2)
            self.assertEqual(c.add(1, 2), 3)

    def test_introspection(self):
        with client() as c:
            self.assertEqual(c._zerorpc_ping(), ["pong", "sluice"])
            self.assertIn("add", c._zerorpc_list())
            self.assertEqual(c._zerorpc_args("add"), [["a", "b"], None, None, None])
            inspected = c._zerorpc_inspect()["methods"]
            self.assertEqual(inspected["add"]["args"], [{"name": "a"}, {"name": "b"}])
            self.assertTrue(inspected["sql.query"]["doc"])

    def test_garbage_is_survived(self):
        socket = zmq.Context.instance().socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(gateway.endpoint)
        before = gateway.rss_kb()
        header = {"message_id": b"x", "v": 3}
        for payload in [b"", b"\xc1", b"\xdd\x0f\xff\xff\xff" * 1000, b"\x91" * 100_000, b"\xdf\xff\xff\xff\xff", msgpack.packb([header]), msgpack.packb(7),
                        msgpack.packb([header, "echo", [{1: 2}]]), msgpack.packb([header, "_zpc_hb", [0]]), msgpack.packb([header, "_zpc_more", ["x"]]),
                        os.urandom(1000), msgpack.packb([header, "x" * 1_000_000, []])]:
            socket.send_multipart([b"", payload])
        socket.send_multipart([b"", *[b"x"] * 10_000])
        with client() as good:
            self.assertEqual(good.add(1, 2), 3)
        socket.close()
        self.assertLess(gateway.rss_kb() - before, 60_000)

    def test_a_client_that_dies_in_a_stream_leaves_nothing_open(self):
        def open_cursors():
            with client() as c:
                return c("sql.status")["nodes"][1]["open_cursors"]
        c = client()
        stream = c.stream("sql.stream", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
        next(stream)
        self.assertEqual(open_cursors(), 1)
        c.close()
        wait_for(lambda: open_cursors() == 0, "the cursor of the dead client to be closed", 40)


class Node(unittest.TestCase):
    def node(self, script):
        prelude = f'const zerorpc = require("zerorpc"); const c = new zerorpc.Client({{ timeout: 30 }}); c.connect("{gateway.endpoint}");'
        done = subprocess.run(["node", "--no-deprecation", "-e", prelude + script], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, NODE_PATH=NODE_MODULES))
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_calls_and_errors(self):
        got = self.node("""
            const say = (v) => console.log(JSON.stringify(v === undefined ? null : v));
            c.invoke("add", 3, 4, (e, r) => { say(r);
            c.invoke("add", 2147483648, 1, (e, r) => { say(r);
            c.invoke("echo", {a: [1.5, "é😀", null, true]}, (e, r) => { say(r);
            c.invoke("nosuch", (e) => { say([e.name, e.message]);
            c.invoke("probe.fail", (e) => { say([e.name, e.message]); c.close(); }); }); }); }); });""")
        self.assertEqual(got, [7, 2147483649, {"a": [1.5, "é😀", None, True]}, ["NameError", "nosuch"], ["RuntimeError", "probe"]])

    def test_streams(self):
        got = self.node("""
            const seen = [];
            c.invoke("probe.count", 250, (e, item, more) => {
              if (item !== undefined) seen.push(item);
              if (!more) { console.log(JSON.stringify(seen)); c.close(); }
            });""")
        self.assertEqual(got, [list(range(250))])

    def test_a_long_call(self):
        got = self.node('c.invoke("probe.sleep", 12, (e, r) => { console.log(JSON.stringify(e ? e.message : r)); c.close(); });')
        self.assertEqual(got, ["slept"])


if __name__ == "__main__":
    unittest.main()
