"""A gate on a TCP path, which can do to it what networks do: delay, drip, cut, half-close, freeze.

    with Gate(backend_port) as gate:              # gate.port stands for the backend's
        gate.cut_after(bytes_to_client=17)        # the next connection that has carried 17 bytes of answers is cut there

Every method may be called from any thread, at any time, and is in force when it returns. Bytes are counted one by one: what is
cut after N has passed on exactly N. "Client" is whoever connected to the gate, "target" what stands behind it.
"""

import asyncio
import contextlib
import socket
import struct
import threading

CHUNK = 64 * 1024
SLICES = 20  # of a second, in which a dripping gate passes its bytes on


class _Way:
    """One direction of one connection."""

    def __init__(self, gate, source, sink, to_client):
        self.gate, self.source, self.sink, self.to_client = gate, source, sink, to_client
        self.passed = 0  # bytes
        self.counted_from = 0  # where the cut in force began to count
        self.closed = False


class Gate:
    def __init__(self, target_port, target_host="127.0.0.1"):
        self.target = (target_host, target_port)
        self.accepted = 0  # connections, all in all
        self.cuts = 0  # connections that cut_after() or drop_all() ended
        self.bytes_to_client = self.bytes_to_target = 0
        self._delay_s = 0.0
        self._bytes_per_s = None
        self._cut = None  # [bytes to the client or None, bytes to the target or None, times left or None, by reset?]
        self._admits = None  # so many more; None: all
        self._silent = None  # so many more are heard; None: all
        self._connections = {}  # task: (way to the target, way to the client)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._flowing = None
        self._accepting = None
        self._thread = threading.Thread(target=self._run, name="gate", daemon=True)
        self._thread.start()
        self._do(lambda: None)  # it accepts by now

    # What can be done to the path.

    def cut_after(self, bytes_to_client=None, bytes_to_target=None, times=1, reset=False):
        """Ends a connection as soon as it has passed on so many bytes; those that passed before this call do not count.
        After `times` connections the rule is spent (None: never). By default with a FIN, else with a RST."""
        def apply():
            self._cut = [bytes_to_client, bytes_to_target, times, reset]
            for way in self._ways():
                way.counted_from = way.passed
        self._do(apply)

    def delay(self, ms):
        """Every piece is passed on so much later, either way; 0: at once."""
        self._do(lambda: setattr(self, "_delay_s", ms / 1000))

    def drip(self, bytes_per_s):
        """So slow is each direction of each connection; None: as fast as it can."""
        self._do(lambda: setattr(self, "_bytes_per_s", bytes_per_s))

    def freeze(self):
        """Nothing passes, nobody is told: connections stay open, new ones are accepted and silent."""
        self._do(lambda: self._flowing.clear())

    def thaw(self):
        """What was held up goes on."""
        self._do(lambda: self._flowing.set())

    def half_close(self, to_client=True):
        """Ends one direction of every open connection, by default that of the answers; the other stays open."""
        def apply():
            for way in self._ways():
                if way.to_client == to_client:
                    self._finish(way)
        self._do(apply)

    def drop_all(self, reset=True):
        """Cuts every open connection, now."""
        def apply():
            for task, ways in list(self._connections.items()):
                self._cut_connection(task, ways, reset)
        self._do(apply)

    def refuse(self, after=0):
        """New connections, or those behind the next `after`, are ended at once, as if nothing stood behind the gate; open ones stay."""
        self._do(lambda: setattr(self, "_admits", after))

    def admit(self):
        self._do(lambda: setattr(self, "_admits", None))

    def keep_waiting(self, after=0):
        """New connections, or those behind the next `after`, are accepted and hear nothing until they are closed; open ones go on."""
        self._do(lambda: setattr(self, "_silent", after))

    def heal(self):
        """A plain path again, for new connections and open ones."""
        def apply():
            self._delay_s, self._bytes_per_s, self._cut, self._admits, self._silent = 0.0, None, None, None, None
            self._flowing.set()
        self._do(apply)

    @property
    def open(self):
        """How many connections are open now."""
        return self._do(lambda: len(self._connections))

    def close(self):
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._accepting.cancel)
        self._thread.join()
        self._loop.close()
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # How it is done: one thread with an event loop of its own.

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._accepting = self._loop.create_task(self._accept())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._accepting)
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def _do(self, action):
        async def run():
            return action()
        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def _ways(self):
        return [way for ways in self._connections.values() for way in ways]

    async def _accept(self):
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            client.setblocking(False)
            self.accepted += 1
            if self._admits == 0:
                _end(client, reset=True)
                continue
            if self._admits:
                self._admits -= 1
            ways = []
            deaf = self._silent == 0
            if self._silent:
                self._silent -= 1
            task = self._loop.create_task(self._ignore(client) if deaf else self._carry(client, ways))
            self._connections[task] = ways
            task.add_done_callback(lambda done: self._connections.pop(done, None))

    async def _ignore(self, client):
        try:
            while await self._loop.sock_recv(client, CHUNK):
                pass
        except OSError:
            pass  # reset: that is an end too
        finally:
            _end(client)

    async def _carry(self, client, ways):
        target = socket.socket()
        target.setblocking(False)
        for end in (client, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._flowing.wait()
            await self._loop.sock_connect(target, self.target)
            ways += [_Way(self, client, target, False), _Way(self, target, client, True)]
            await asyncio.gather(*(self._pass_on(way) for way in ways))
        except OSError:
            pass  # one side is gone; so is the other, below
        finally:
            for end in (client, target):
                _end(end)

    async def _pass_on(self, way):
        while data := await self._loop.sock_recv(way.source, CHUNK):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            while data:
                await self._flowing.wait()
                piece = self._piece(way, data)
                if piece and not way.closed:
                    await self._loop.sock_sendall(way.sink, piece)
                way.passed += len(piece)
                if way.to_client:
                    self.bytes_to_client += len(piece)
                else:
                    self.bytes_to_target += len(piece)
                data = data[len(piece):]
                if self._left_until_cut(way) == 0:
                    return self._reached(way)
                if self._bytes_per_s:
                    await asyncio.sleep(len(piece) / self._bytes_per_s)
        await self._flowing.wait()
        self._finish(way)

    def _piece(self, way, data):
        most = len(data)
        if self._bytes_per_s:
            most = min(most, max(1, int(self._bytes_per_s / SLICES)))
        left = self._left_until_cut(way)
        return data[:most if left is None else min(most, left)]

    def _left_until_cut(self, way):
        """Bytes that may still pass; None: any number."""
        if self._cut is None or self._cut[2] == 0:
            return None
        after = self._cut[0] if way.to_client else self._cut[1]
        return None if after is None else max(0, after - (way.passed - way.counted_from))

    def _reached(self, way):
        if self._cut[2] is not None:
            self._cut[2] -= 1
        task = next(task for task, ways in self._connections.items() if way in ways)
        self._cut_connection(task, self._connections[task], self._cut[3])

    def _cut_connection(self, task, ways, reset):
        self.cuts += 1
        for way in ways:
            _end(way.source, reset)
        del self._connections[task]
        task.cancel()

    def _finish(self, way):
        way.closed = True
        with contextlib.suppress(OSError):
            way.sink.shutdown(socket.SHUT_WR)


def _end(sock, reset=False):
    with contextlib.suppress(OSError):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
