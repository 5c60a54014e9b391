"""A small zerorpc client on pyzmq and msgpack, for where zerorpc itself is not installed: calls, streams, heartbeats.

    with Client("tcp://127.0.0.1:4243") as c:
        c.add(88, 77)                                # 165
        for n in c.stream("probe.count", 5): ...     # as they come
The protocol: docs/wire-zerorpc.md.
"""

import itertools
import time
import uuid

import msgpack
import zmq


class RemoteError(Exception):
    """The server answered ERR."""

    def __init__(self, name, message, traceback=None):
        super().__init__(f"{name}: {message}")
        self.name, self.msg, self.traceback = name, message, traceback


class LostRemote(Exception):
    """The server's heartbeats stopped."""


class TimeoutExpired(Exception):
    """No answer came in time."""


class Client:
    WINDOW = 100  # items that the server may send ahead of us

    def __init__(self, endpoint, timeout=30, heartbeat=5):
        self.timeout, self.heartbeat = timeout, heartbeat
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.ids = (f"{n:08x}{uuid.uuid4().hex[:24]}".encode() for n in itertools.count(1))

    def __call__(self, method, *args):
        """The result; that of a method that streams is a list."""
        kind, first, items = self._start(method, args)
        return first if kind == "OK" else list(items)

    def stream(self, method, *args):
        """Yields the items of a stream as they come."""
        kind, first, items = self._start(method, args)
        if kind == "OK":
            raise TypeError(f"{method} answered with a value, not with a stream")
        return items

    def __getattr__(self, method):
        return lambda *args: self(method, *args)

    def _start(self, method, args):
        channel = next(self.ids)
        self._send({"message_id": channel, "v": 3}, method, args)
        events = self._events(channel)
        deadline = time.monotonic() + self.timeout
        while True:
            name, value = next(events)
            if name is not None:
                break
            if time.monotonic() > deadline:
                raise TimeoutExpired(f"timeout after {self.timeout}s, when calling remote method {method}")
        if name == "OK":
            return "OK", value[0], None
        return "STREAM", None, self._items(channel, name, value, events)

    def _items(self, channel, name, value, events):
        room = 1  # of the window: the first item needs no leave
        while True:
            if name == "STREAM":
                room -= 1
                if room < self.WINDOW // 2:
                    self._send({"message_id": next(self.ids), "v": 3, "response_to": channel}, "_zpc_more", [self.WINDOW - room])
                    room = self.WINDOW
                yield value
            elif name == "STREAM_DONE":
                return
            name, value = next(events)

    def _events(self, channel):
        """Yields (name, args) of our channel, and (None, None) now and then; keeps the channel alive."""
        beat = last = time.monotonic()
        while True:
            now = time.monotonic()
            if now - beat >= self.heartbeat:
                self._send({"message_id": next(self.ids), "v": 3, "response_to": channel}, "_zpc_hb", [0])
                beat = now
            if now - last > 2 * self.heartbeat + self.heartbeat:
                raise LostRemote(f"Lost remote after {2 * self.heartbeat}s heartbeat")
            if not self.socket.poll(min(200, self.heartbeat * 250)):
                yield None, None
                continue
            header, name, args = msgpack.unpackb(self.socket.recv_multipart()[-1])
            if header.get("response_to") != channel:
                continue  # of a call that we have given up
            if name == "_zpc_hb":
                last = time.monotonic()
            elif name == "ERR":
                raise RemoteError(*args)
            elif name != "_zpc_more":
                yield name, args

    def _send(self, header, name, args):
        self.socket.send_multipart([b"", msgpack.packb([header, name, list(args)])])

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
