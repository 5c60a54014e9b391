"""SIGTERM: what runs is answered, on both transports, nothing new is taken, and the exit code is 0."""

import socket
import threading
import time
import unittest
import xmlrpc.client

import beside  # noqa: F401 - puts the zerorpc client on the path
import msgpack
import zmq
from gateway import Gateway, wait_for
from zerorpc_client import Client

SLEEP = b"<methodCall><methodName>probe.sleep</methodName><params><param><value><double>1</double></value></param></params></methodCall>"


def post(body):
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Drain(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway(config="[gateway]\nthreads = 1\ndrain_ms = 10000\n")

    def test_what_runs_is_answered_on_both_transports(self):
        http = [socket.create_connection(("127.0.0.1", self.gateway.port), 20) for _ in range(20)]
        for s in http:
            s.sendall(post(SLEEP))
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        dealer.linger, dealer.rcvtimeo = 0, 20_000
        dealer.connect(self.gateway.endpoint)
        for n in range(20):
            dealer.send_multipart([b"", msgpack.packb([{"message_id": b"%032d" % n, "v": 3}, "probe.sleep", [1]])])
        # One loop reads in order: when the later calls are answered, the earlier ones have been read.
        dealer.send_multipart([b"", msgpack.packb([{"message_id": b"last", "v": 3}, "add", [1, 2]])])
        self.assertEqual(msgpack.unpackb(dealer.recv_multipart()[-1])[1:], ["OK", [3]])
        with xmlrpc.client.ServerProxy(self.gateway.url) as g:
            self.assertEqual(g.add(1, 2), 3)
        self.gateway.terminate()
        for s in http:
            with s:
                self.assertIn(b"slept", s.recv(65536))
        answers = [msgpack.unpackb(dealer.recv_multipart()[-1])[1:] for _ in range(20)]
        self.assertEqual(answers, [["OK", ["slept"]]] * 20)
        dealer.close()
        self.assertEqual(self.gateway.stop(), 0)

    def test_idle_connections_hold_nothing_up_and_new_ones_are_refused(self):
        idle = [socket.create_connection(("127.0.0.1", self.gateway.port), 20) for _ in range(50)]
        with xmlrpc.client.ServerProxy(self.gateway.url) as g, Client(self.gateway.endpoint) as c:
            self.assertEqual((g.add(1, 2), c.add(1, 2)), (3, 3))
            started = time.monotonic()
            self.gateway.terminate()
            self.assertEqual(self.gateway.process.wait(20), 0)
            self.assertLess(time.monotonic() - started, 5)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.gateway.port), 5)
        for s in idle:
            s.close()
        self.gateway.stop()

    def test_writes_under_load_are_answered_or_not_taken(self):
        with xmlrpc.client.ServerProxy(self.gateway.url) as g:
            g.sql.execute("CREATE TABLE log(id INTEGER PRIMARY KEY)")
        answered, lost = [], []

        def write(number):
            # A request that was sent and read must be answered: HTTP may only end between two answers.
            with socket.create_connection(("127.0.0.1", self.gateway.port), 20) as s:
                for n in range(100_000):
                    body = xmlrpc.client.dumps(("INSERT INTO log VALUES (?)", [number * 1_000_000 + n]), "sql.execute").encode()
                    try:
                        s.sendall(post(body))
                        got = s.recv(65536)
                    except OSError:
                        return
                    if not got:
                        return
                    (answered if b"last_insert_id" in got else lost).append(number * 1_000_000 + n)
                    if b"onnection: close" in got:
                        return

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(answered) > 500, "500 answered writes")
        self.gateway.terminate()
        for thread in threads:
            thread.join()
        self.assertEqual(self.gateway.process.wait(20), 0)
        self.assertEqual(lost, [])
        with Gateway(data=self.gateway.data) as again, xmlrpc.client.ServerProxy(again.url) as g:
            written = {row[0] for row in g.sql.query("SELECT id FROM log")["rows"]}
        self.assertEqual(set(answered) - written, set())
        # At most the request that a connection sent as it was closed may have been written unanswered: none is.
        self.assertEqual(written - set(answered), set())
        self.gateway.stop()

    def test_a_call_that_outlasts_the_patience_does_not_hold_the_gateway(self):
        with socket.create_connection(("127.0.0.1", self.gateway.port), 20) as s:
            s.sendall(post(SLEEP.replace(b">1<", b">50<")))
            with xmlrpc.client.ServerProxy(self.gateway.url) as g:
                self.assertEqual(g.add(1, 2), 3)
            started = time.monotonic()
            self.gateway.terminate()
            self.assertEqual(self.gateway.process.wait(20), 0)
            self.assertGreater(time.monotonic() - started, 8)
        self.gateway.stop()

    def test_a_statement_that_does_not_end_is_stopped(self):
        endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        for method, text in (("sql.query", endless), ("sql.execute", "CREATE TABLE endless AS " + endless)):
            with self.subTest(method), Gateway(config="[gateway]\ndrain_ms = 500\n") as gateway, socket.create_connection(("127.0.0.1", gateway.port), 20) as s:
                s.sendall(post(xmlrpc.client.dumps((text,), method).encode()))
                with xmlrpc.client.ServerProxy(gateway.url) as g:
                    self.assertEqual(g.add(1, 2), 3)
                gateway.terminate()
                self.assertEqual(gateway.process.wait(5), 0)


if __name__ == "__main__":
    unittest.main()
