"""Starts servers for a benchmark, runs contestants turn by turn, and takes medians. Used by run and by instructions.py."""

import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
PYTHON = os.environ.get("SLUICE_PYTHON", "/usr/bin/python3")
TWO_CORES = (os.cpu_count() or 1) >= 2


def build_dir(preset="release"):
    return ROOT / "build" / preset


def free_port():
    """A free port below the ephemeral range, so that no client socket sits on it when the server binds."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                if port not in free_port.given:
                    free_port.given.add(port)
                    return port
            except OSError:
                continue
    raise RuntimeError("no free port between 20000 and 32000")


free_port.given = set()


def pinned(core, command):
    """Servers on core 0, load on core 1: they must not take each other's time."""
    return ["taskset", "-c", str(core), *map(str, command)] if pinned.on else list(map(str, command))


pinned.on = TWO_CORES


@contextlib.contextmanager
def placed_by_the_kernel():
    """Nothing is pinned. Where a database does half of the work, its processes follow whoever wakes them: they took turns with a pinned
    server on its core, while the other core was idle for half of the time."""
    pinned.on = False
    try:
        yield
    finally:
        pinned.on = TWO_CORES


class Server:
    """A server process, ready when its port, and those in `also`, answer. Ends with the with-block."""

    def __init__(self, name, command, port, pin=True, also=(), **popen):
        self.name, self.port = name, port
        self.log = tempfile.NamedTemporaryFile(mode="w+", prefix="sluice-bench-", suffix=".log")
        command = pinned(0, command) if pin else list(map(str, command))
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, **popen)
        deadline = time.monotonic() + 30
        waiting = [port, *also]
        while waiting:
            with socket.socket() as s:
                s.settimeout(1)
                if s.connect_ex(("127.0.0.1", waiting[0])) == 0:
                    waiting.pop(0)
                    continue
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                self.log.seek(0)
                raise RuntimeError(f"{name} did not start ({' '.join(command)}):\n{self.log.read()}")
            time.sleep(0.02)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def sluice(folder, *arguments, wrap=(), pin=True, data=None):
    """Our server on two free ports, its data in `folder`. Returns (server, xmlrpc port, zerorpc endpoint)."""
    http, zerorpc = free_port(), free_port()
    command = [*wrap, build_dir() / "sluice", "serve", "--xmlrpc", f"127.0.0.1:{http}", "--zerorpc", f"tcp://127.0.0.1:{zerorpc}",
               "--data", data or Path(folder) / "sluice.db", *arguments]
    return Server("sluice", command, http, pin=pin, also=[zerorpc]), http, f"tcp://127.0.0.1:{zerorpc}"


def nginx(folder):
    port = free_port()
    config = Path(folder) / "nginx.conf"
    config.write_text((BENCH / "nginx.conf.in").read_text().replace("@DIR@", str(folder)).replace("@PORT@", str(port)))
    return Server("nginx, static body", ["nginx", "-p", folder, "-c", config], port)


def output(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def wrk(port, connections, seconds):
    """Calls per second; an answer that is not 2xx fails the run."""
    text = output(pinned(1, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", BENCH / "add.lua", f"http://127.0.0.1:{port}"]))
    if "Non-2xx" in text:
        raise RuntimeError(f"wrk against port {port} got errors:\n{text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def interleave(contestants, rounds, progress):
    """contestants: {name: function() -> figure}. Runs each once a round; returns {name: [figures]}."""
    figures = {name: [] for name in contestants}
    for turn in range(rounds):
        for name, run in contestants.items():
            progress(f"round {turn + 1}/{rounds}: {name}")
            figures[name].append(run())
    return figures


def ratio(figures, ours, rival):
    """The median of the ratios within each round: what the machine's speed does between rounds cancels."""
    return statistics.median(a / b for a, b in zip(figures[ours], figures[rival]))


def median(figures, name):
    return statistics.median(figures[name])


def require(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    if missing:
        sys.exit(f"bench: {', '.join(missing)} not found; scripts/packages lists what to install (section bench)")
