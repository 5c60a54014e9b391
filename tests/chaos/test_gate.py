"""The gate does to a path what it says, to the byte."""

import contextlib
import socket
import socketserver
import sys
import threading
import time
import unittest

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from gate import Gate


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)
            self.request.sendall(b"bye")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


def read_all(sock):
    """What comes until the end, and how that was: 'end' or 'reset'."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        return data, "reset"
    return data, "end"


def read_exactly(sock, count):
    data = b""
    while len(data) < count and (piece := sock.recv(count - len(data))):
        data += piece
    return data


class GateTest(unittest.TestCase):
    def setUp(self):
        self.server = Server(("127.0.0.1", 0), Echo)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.gate = Gate(self.server.server_address[1])
        self.addCleanup(self.gate.close)

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.gate.port), timeout=10)
        self.addCleanup(sock.close)
        return sock

    def test_new_connections_hear_nothing_and_open_ones_go_on(self):
        self.gate.keep_waiting(after=1)
        first, second = self.connect(), self.connect()
        self.echo(first)
        second.sendall(b"hello")
        second.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            second.recv(1)
        self.echo(first)
        self.gate.heal()
        self.echo(self.connect())

    def echo(self, sock, data=b"hello"):
        sock.sendall(data)
        return read_exactly(sock, len(data))

    def test_passes_everything_both_ways_and_counts_it(self):
        sock = self.connect()
        data = bytes(range(256)) * 4000
        threading.Thread(target=sock.sendall, args=(data,)).start()
        self.assertEqual(read_exactly(sock, len(data)), data)
        self.assertEqual((self.gate.bytes_to_client, self.gate.bytes_to_target), (len(data), len(data)))
        self.assertEqual((self.gate.accepted, self.gate.open, self.gate.cuts), (1, 1, 0))

    def test_passes_an_end_on_and_the_answer_after_it(self):
        sock = self.connect()
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(read_all(sock), (b"hellobye", "end"))

    def test_cuts_after_each_byte_of_the_answer(self):
        for offset in range(6):
            with self.subTest(offset=offset):
                sock = self.connect()
                self.gate.cut_after(bytes_to_client=offset)
                sock.sendall(b"hello")
                self.assertEqual(read_all(sock)[0], b"hello"[:offset])
        self.assertEqual(self.gate.cuts, 6)

    def test_a_cut_counts_from_when_it_was_asked_for_and_is_spent_once_done(self):
        sock = self.connect()
        self.echo(sock, b"before")
        self.gate.cut_after(bytes_to_client=2)
        sock.sendall(b"hello")
        self.assertEqual(read_all(sock)[0], b"he")
        self.assertEqual(self.echo(self.connect()), b"hello")

    def test_cuts_the_way_to_the_target(self):
        sock = self.connect()
        self.gate.cut_after(bytes_to_target=3)
        sock.sendall(b"hello")
        self.assertEqual(read_all(sock)[0][3:], b"")
        self.assertEqual(self.gate.bytes_to_target, 3)

    def test_delays(self):
        sock = self.connect()
        self.gate.delay(100)
        start = time.monotonic()
        self.assertEqual(self.echo(sock), b"hello")
        self.assertGreaterEqual(time.monotonic() - start, 0.2)

    def test_drips(self):
        sock = self.connect()
        self.gate.drip(100)
        start = time.monotonic()
        self.assertEqual(self.echo(sock, b"x" * 20), b"x" * 20)
        self.assertGreaterEqual(time.monotonic() - start, 0.15)

    def test_freezes_and_thaws(self):
        sock = self.connect()
        self.echo(sock)
        self.gate.freeze()
        sock.sendall(b"held")
        sock.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            sock.recv(1)
        self.gate.thaw()
        sock.settimeout(10)
        self.assertEqual(read_exactly(sock, 4), b"held")

    def test_half_closes(self):
        sock = self.connect()
        self.echo(sock)
        self.gate.half_close()
        self.assertEqual(read_all(sock), (b"", "end"))
        sock.sendall(b"still heard")

    def test_drops_all(self):
        socks = [self.connect() for _ in range(3)]
        for sock in socks:
            self.echo(sock)
        self.gate.drop_all()
        for sock in socks:
            self.assertEqual(read_all(sock), (b"", "reset"))
        self.assertEqual((self.gate.cuts, self.gate.open), (3, 0))
        self.assertEqual(self.echo(self.connect()), b"hello")

    def test_refuses_and_admits(self):
        self.gate.refuse()
        with contextlib.suppress(ConnectionError):
            self.assertEqual(self.connect().recv(1), b"")
        self.gate.admit()
        self.assertEqual(self.echo(self.connect()), b"hello")

    def test_ends_a_connection_to_nobody(self):
        self.server.shutdown()
        self.server.server_close()
        self.assertEqual(read_all(self.connect())[0], b"")


if __name__ == "__main__":
    unittest.main()
