"""Callers who do not wait for their answers before they ask again."""

import collections
import json
import os
import subprocess
import tempfile
import time
import xmlrpc.client

import beside  # noqa: F401 - puts the zerorpc client on the path
import msgpack
import zmq

OVERLOADED = "BusyError"
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


def pinned(core):
    """What a command starts with that is to run on that core."""
    return ["taskset", "-c", str(core)] if os.cpu_count() > 1 else []


def crowd(gateway, method, statement, a_second, seconds):
    """What becomes of XML-RPC calls by the clock, whether or not they are answered; 0 a second: of eight callers who wait for their answers."""
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as body:
        body.write(xmlrpc.client.dumps((statement,), method))
        body.flush()
        command = [*pinned(1), os.path.join(os.environ["SLUICE_BUILD"], "overload_load"), str(gateway.port), body.name, str(a_second), str(seconds)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
