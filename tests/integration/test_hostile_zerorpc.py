"""Peers that mean harm on the zerorpc endpoint: the gateway lives, within bounded memory, and a good caller beside is served."""

import itertools
import random
import socket
import struct
import unittest

from beside import unharmed
import msgpack
import zmq
from gateway import Gateway, wait_for

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"


def setUpModule():
    global gateway
    gateway = Gateway()


def tearDownModule():
    assert gateway.stop() == 0


class Peer:
    """A DEALER that says what it likes."""

    ids = (b"%032d" % n for n in itertools.count())

    def __init__(self, **options):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger, self.socket.rcvtimeo, self.socket.sndhwm = 0, 20_000, 0
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.socket.connect(gateway.endpoint)

    def raw(self, *frames):
        self.socket.send_multipart(frames)

    def event(self, name, args, channel=None):
        header = {"message_id": next(self.ids), "v": 3}
        if channel is not None:
            header["response_to"] = channel
        self.raw(b"", msgpack.packb([header, name, args]))
        return header["message_id"]

    def echo_of(self, packed):
        """Calls echo with an argument that is packed already."""
        self.raw(b"", b"\x93" + msgpack.packb({"message_id": next(self.ids), "v": 3}) + msgpack.packb("echo") + b"\x91" + packed)
        return self.answer()

    def answer(self):
        """(name, args) of the next event that is no heartbeat."""
        while True:
            _, name, args = msgpack.unpackb(self.socket.recv_multipart()[-1])
            if name != "_zpc_hb":
                return name, args

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def raw_connections(count):
    port = int(gateway.endpoint.rsplit(":", 1)[1])
    return [socket.create_connection(("127.0.0.1", port), 30) for _ in range(count)]


class Messages(unittest.TestCase):
    def test_calls_without_number_are_shed_and_all_are_answered(self):
        with unharmed(gateway, 50_000), Peer() as peer:
            for _ in range(3000):
                peer.event("probe.sleep", [2])
            answers = [peer.answer() for _ in range(3000)]
        self.assertEqual(answers.count(("OK", ["slept"])), 2000)
        shed = [args for name, args in answers if name == "ERR"]
        self.assertEqual(len(shed), 1000)
        self.assertEqual(shed[0][0], "BusyError")
        self.assertIn("2000 calls open on this connection", shed[0][1])

    def test_heartbeats_and_windows_for_nobody(self):
        with unharmed(gateway, 30_000), Peer() as peer:
            for n in range(50_000):
                peer.event("_zpc_hb", [0], b"%032d" % n)
                peer.event("_zpc_more", [2**62], b"%032d" % n)
            peer.event("add", [1, 2])
            self.assertEqual(peer.answer(), ("OK", [3]))

    def test_a_frame_beyond_the_limit_and_messages_of_many(self):
        with unharmed(gateway, 60_000), Peer() as peer:
            peer.raw(b"", b"x" * 17_000_000)
            peer.raw(*[b""] * 300_000, b"x")
            peer.event("add", [1, 2])  # libzmq has connected again
            self.assertEqual(peer.answer(), ("OK", [3]))

    def test_what_is_wrong_behind_a_readable_header_is_said(self):
        def head(v):
            return msgpack.packb({"message_id": next(Peer.ids), "v": v})

        with unharmed(gateway, 30_000), Peer() as peer:
            for payload, words in [*((b"\x93" + head(v) + msgpack.packb("add") + msgpack.packb([1, 2]), "'v' must be a number") for v in ("3", None, [], {"a": 1})),
                                   (b"\x94" + head(3) + msgpack.packb("add") + msgpack.packb([1, 2]) + b"\xc0", "4 parts"),
                                   (b"\x92" + head(3) + msgpack.packb("add"), "2 parts"),
                                   (b"\x93" + head(3) + b"\xa2\xff\xfe\x90", "not UTF-8"),
                                   (b"\x93" + head(3) + msgpack.packb("echo") + b"\x91\xa2\xff\xfe", "not UTF-8"),
                                   (b"\x93" + head(3) + msgpack.packb("echo") + b"\x91\x81\x01\x02", "a key that is no text"),
                                   (b"\x93" + head(3) + msgpack.packb("echo") + b"\x91", "no whole")]:
                peer.raw(b"", payload)
                name, args = peer.answer()
                self.assertEqual((name, args[0]), ("ERR", "ValueError"), payload)
                self.assertIn(words, args[1])
            peer.raw(b"", b"\x93" + head(2**63) + msgpack.packb("add") + msgpack.packb([1, 2]))
            self.assertEqual(peer.answer(), ("OK", [3]))
            # Nobody to answer: the payload is the last frame, and an event of a channel that is not open.
            peer.raw(b"", b"\x93" + head(3) + msgpack.packb("add") + msgpack.packb([1, 2]), b"extra")
            peer.raw(b"", b"\x93" + msgpack.packb({"message_id": b"x", "v": 3, "response_to": b"y"}) + b"\xa2\xff\xfe\x90")
            peer.event("add", [2, 3])
            self.assertEqual(peer.answer(), ("OK", [5]))

    def test_values_without_number(self):
        with unharmed(gateway, 200_000), Peer() as peer:
            name, args = peer.echo_of(b"\xdd" + struct.pack(">I", 15_000_000) + b"\xc0" * 15_000_000)
            self.assertEqual((name, args[0]), ("ERR", "OverflowError"))
            self.assertIn("more than 1000000 values", args[1])
            self.assertEqual(peer.echo_of(b"\xdf" + struct.pack(">I", 300_000) + b"\xa1k\x01" * 300_000), ("OK", [{"k": 1}]))
            many = {str(n): n for n in range(300_000)}
            self.assertEqual(peer.echo_of(msgpack.packb(many)), ("OK", [many]))

    def test_small_calls_for_huge_answers(self):
        with unharmed(gateway, 500_000), Peer() as peer:
            peer.event("system.multicall", [[{"methodName": "sql.query", "params": ["SELECT zeroblob(8000000)"]}] * 60])
            name, args = peer.answer()
        self.assertEqual((name, args[0]), ("ERR", "OverflowError"))
        self.assertIn("those calls have run, the rest have not", args[1])

    def test_a_stream_that_was_given_a_huge_window_and_is_not_read(self):
        with unharmed(gateway, 60_000), Peer(rcvhwm=1) as peer:
            channel = peer.event("sql.stream", [ENDLESS])
            peer.event("_zpc_more", [2**31], channel)
            with Peer() as other:
                wait_for(lambda: self.cursors(other) == 1, "the stream to be open")
        with Peer() as other:
            wait_for(lambda: self.cursors(other) == 0, "the stream of the caller who left to be closed", 40)

    def cursors(self, peer):
        peer.event("sql.status", [])
        return peer.answer()[1][0]["nodes"][1]["open_cursors"]


class Connections(unittest.TestCase):
    def test_handshakes_that_never_end(self):
        with unharmed(gateway, 60_000):
            crowd = raw_connections(1000)
            for n, s in enumerate(crowd):
                s.sendall([b"\x00", b"\xff", b"\xff\0\0\0\0\0\0\0\1\x7f\3", b"GET / HTTP/1.1\r\n\r\n"][n % 4])
            for s in crowd:  # each is cut, the last after handshake_ms
                with s:
                    try:
                        while s.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass

    def test_noise(self):
        noise = random.Random(4243)  # the same each time
        with unharmed(gateway, 30_000):
            for s in raw_connections(200):
                with s:
                    s.sendall(noise.randbytes(2000))


if __name__ == "__main__":
    unittest.main()
