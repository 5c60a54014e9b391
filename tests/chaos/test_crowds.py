"""Numbers: ten thousand that are connected and silent, and calls without end; each gets its own answer, and none is lost.

SLUICE_CROWD_CALLS says how many calls over each transport, half of them encrypted (500,000: a million in all), SLUICE_CROWD_SECONDS how long
the silent are held.
"""

import contextlib
import http.client
import itertools
import multiprocessing
import os
import random
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import xmlrpc.client

import msgpack
import zmq

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/integration"))
sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
from gateway import SLUICE, Gateway, free_port
from zerorpc_client import Client

CALLS = int(os.environ.get("SLUICE_CROWD_CALLS", "500000"))
SECONDS = float(os.environ.get("SLUICE_CROWD_SECONDS", "60"))
IDLE, BUSY, PACE = 10_000, 64, 0.1  # seconds between one caller's calls: all of them together leave other tests room
GREETING = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL" + bytes(16) + bytes(32)
READY = b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
ADD = xmlrpc.client.dumps((3, 4), "add").encode()


def http_peer(gateway):
    return socket.create_connection(("127.0.0.1", gateway.port), 30)


def http_call(peer):
    peer.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(ADD), ADD))
    answer = http.client.HTTPResponse(peer)
    answer.begin()
    return xmlrpc.client.loads(answer.read())[0][0]


def zerorpc_peer(gateway):
    """A connection that has shaken hands as ZMTP 3.0 wants it (rfc.zeromq.org/spec/23), without a socket of libzmq's behind it."""
    peer = socket.create_connection(("127.0.0.1", int(gateway.endpoint.rsplit(":", 1)[1])), 30)
    peer.sendall(GREETING + READY)
    return peer


def take(peer, count):
    got = b""
    while len(got) < count:
        piece = peer.recv(count - len(got))
        if not piece:
            raise EOFError("the gateway closed the connection")
        got += piece
    return got


def frame(peer):
    flags = take(peer, 1)[0]
    size = int.from_bytes(take(peer, 8 if flags & 2 else 1), "big")
    return flags, take(peer, size)


def zerorpc_call(peer, number=itertools.count()):
    if peer not in greeted:
        take(peer, 64)
        frame(peer)  # READY
        greeted.add(peer)
    event = msgpack.packb([{"message_id": f"{next(number):032}", "v": 3}, "add", [3, 4]])
    peer.sendall(b"\x01\0" + b"\0" + bytes([len(event)]) + event)
    while True:
        flags, content = frame(peer)
        if not flags & 1:
            return msgpack.unpackb(content)[2][0]


greeted = set()


class Idle(unittest.TestCase):
    """Ten thousand silent connections beside 64 that call all the time."""

    def setUp(self):
        least = IDLE + 500
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertTrue(hard == resource.RLIM_INFINITY or hard >= least, f"this test needs {least} descriptors, the system grants {hard} (ulimit -Hn)")
        if soft < least:
            resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))

    def crowd(self, connect, call, busy):
        with Gateway() as gateway:
            silent = [connect(gateway) for _ in range(IDLE)]
            self.addCleanup(lambda: [one.close() for one in silent])
            wrong, over = [], threading.Event()

            def go_on():
                try:
                    with busy(gateway) as caller:
                        for n in itertools.count():
                            if caller.add(n, 1) != n + 1:
                                wrong.append(n)
                            if over.wait(PACE):
                                return
                except Exception as error:
                    wrong.append(error)

            callers = [threading.Thread(target=go_on) for _ in range(BUSY)]
            for caller in callers:
                caller.start()
            try:
                until = time.monotonic() + SECONDS
                for one in random.sample(silent, IDLE // 100):
                    self.assertEqual(call(one), 7)
                over.wait(max(0, until - time.monotonic()))
                for one in random.sample(silent, IDLE // 100):
                    self.assertEqual(call(one), 7, "afterwards")
            finally:
                over.set()
                for caller in callers:
                    caller.join()
            self.assertEqual(wrong, [])

    def test_over_http(self):
        self.crowd(http_peer, http_call, lambda gateway: xmlrpc.client.ServerProxy(gateway.url))

    def test_over_zerorpc(self):
        self.crowd(zerorpc_peer, zerorpc_call, lambda gateway: Client(gateway.endpoint))


def pipelined(port, calls, number, report, authority=None):
    """Echoes over HTTP, a hundred in one write, over TLS where there is a file of an authority; reports what came back wrong."""
    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(socket.create_connection(("127.0.0.1", port), 60))
        if authority:
            peer = stack.enter_context(ssl.create_default_context(cafile=authority).wrap_socket(peer, server_hostname="127.0.0.1"))
        stream = peer.makefile("rb")
        for start in range(0, calls, 100):
            batch = range(start, min(start + 100, calls))
            bodies = [b"<methodCall><methodName>echo</methodName><params><param><value>h%d-%d</value></param></params></methodCall>" % (number, n) for n in batch]
            peer.sendall(b"".join(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies))
            for n in batch:
                length = 0
                while (line := stream.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                body = stream.read(length)
                if b">h%d-%d<" % (number, n) not in body:
                    return report.put(f"call {n} over HTTP was answered {body!r}")
    report.put(None)


def windowed(endpoint, calls, number, report, server_key=None):
    """Echoes over zerorpc, two hundred in flight, over CURVE where there is a key of the server; reports what came twice, crossed or never."""
    peer = zmq.Context().socket(zmq.DEALER)
    peer.linger, peer.rcvtimeo = 0, 60_000
    if server_key:
        peer.curve_serverkey = server_key.encode()
        peer.curve_publickey, peer.curve_secretkey = zmq.curve_keypair()
    peer.connect(endpoint)
    waiting, sent = set(), 0
    while sent < calls or waiting:
        while sent < calls and len(waiting) < 200:
            peer.send_multipart((b"", msgpack.packb([{"message_id": f"z{number}-{sent}", "v": 3}, "echo", [f"z{number}-{sent}"]])))
            waiting.add(f"z{number}-{sent}")
            sent += 1
        header, name, args = msgpack.unpackb(peer.recv_multipart()[-1])
        if name == "_zpc_hb":
            continue
        to = header["response_to"]
        if to not in waiting or (name, args) != ("OK", [to]):
            return report.put(f"{to} was answered {name} {args}")
        waiting.remove(to)
    report.put(None)


class Payloads(unittest.TestCase):
    def test_each_call_gets_its_own_answer_while_the_configuration_is_read_again_every_second(self):
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-crowd-"))
        certificate, key = f"{folder}/server.pem", f"{folder}/server.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=Test",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        server_key = subprocess.run([SLUICE, "keygen", f"{folder}/keys"], check=True, capture_output=True, text=True).stdout.strip()
        https, curve = free_port(), f"tcp://127.0.0.1:{free_port()}"
        config = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n[zerorpc]\ncurve_keys = "{folder}/keys"\n'
        with Gateway("--xmlrpc", f"https://127.0.0.1:{https}", "--zerorpc", "curve+" + curve, config=config) as gateway:
            report = multiprocessing.Queue()
            callers = [multiprocessing.Process(target=target, args=(where, CALLS // 2, number, report, proof)) for number, (target, where, proof) in enumerate([
                (pipelined, gateway.port, None), (pipelined, https, certificate), (windowed, gateway.endpoint, None), (windowed, curve, server_key)])]
            for caller in callers:
                caller.start()
            ended = threading.Event()

            def reload():
                while not ended.wait(1):
                    gateway.process.send_signal(signal.SIGHUP)

            reloading = threading.Thread(target=reload)
            reloading.start()
            try:
                self.assertEqual([report.get(timeout=60 + CALLS / 500) for _ in callers], [None] * len(callers))
            finally:
                ended.set()
                reloading.join()
                for caller in callers:
                    caller.join(10)
            with xmlrpc.client.ServerProxy(gateway.url) as server:
                self.assertEqual(server.add(3, 4), 7)


if __name__ == "__main__":
    unittest.main()
