"""A good caller beside a bad one: he is served on both transports while harm is done, in bounded time and memory."""

import contextlib
import os
import sys
import threading
import time
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
from zerorpc_client import Client


class Good(threading.Thread):
    """Calls add over XML-RPC and zerorpc, turn by turn, and keeps the slowest answer and the first thing that went wrong."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.ended = gateway, threading.Event()
        self.rounds, self.slowest, self.wrong = 0, 0.0, None

    def run(self):
        try:
            with xmlrpc.client.ServerProxy(self.gateway.url) as http, Client(self.gateway.endpoint) as zerorpc:
                while not self.ended.wait(0.005):
                    for call in (http.add, zerorpc.add):
                        started = time.monotonic()
                        if call(3, 4) != 7:
                            raise AssertionError("3 and 4 are 7")
                        self.slowest = max(self.slowest, time.monotonic() - started)
                    self.rounds += 1
        except Exception as error:  # told by unharmed(); a thread's own exception fails no test
            self.wrong = error


@contextlib.contextmanager
def unharmed(gateway, more_kb, slowest=3.0):
    """Around an attack: the gateway lives, takes at most `more_kb` more at its peak, and answers the good caller within `slowest` seconds."""
    with open(f"/proc/{gateway.process.pid}/clear_refs", "w") as f:
        f.write("5")  # the peak is counted from here
    before = gateway.rss_kb()
    good = Good(gateway)
    good.start()
    yield
    enough, deadline = good.rounds + 2, time.monotonic() + 20
    while good.is_alive() and good.rounds < enough and time.monotonic() < deadline:
        time.sleep(0.01)
    good.ended.set()
    good.join(20)
    if gateway.process.poll() is not None:
        raise AssertionError(f"the gateway died with {gateway.process.returncode}")
    if good.wrong or good.rounds < enough:
        raise AssertionError(f"the good caller was not served after {good.rounds} rounds: {good.wrong!r}")
    if good.slowest > slowest:
        raise AssertionError(f"the good caller waited {good.slowest:.1f} s, at most {slowest} s are right")
    peak = gateway.peak_kb() - before
    if peak > more_kb:
        raise AssertionError(f"the gateway took {peak} kB more at its peak, at most {more_kb} kB are right")
