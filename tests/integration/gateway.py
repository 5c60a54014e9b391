"""A real `sluice serve` for a test: on free ports, in a folder of its own, with the line that says it is ready."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
import xmlrpc.client

SLUICE = os.environ["SLUICE_BINARY"]


def free_port():
    """Below the ephemeral range, so that no client socket sits on it when the server binds."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as s:
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                return port


def proxy(gateway):
    return xmlrpc.client.ServerProxy(gateway.url, allow_none=True, use_builtin_types=True)


def wait_for(condition, what, seconds=20):
    """Waits until condition() is true; fails with `what` when it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        time.sleep(0.01)


class Gateway:
    def __init__(self, *arguments, probe=True, data=None, environment=None, config=None, wrap=(), port=None):
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.port, zerorpc = port or free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.endpoint = f"tcp://127.0.0.1:{zerorpc}"
        self.data = data or os.path.join(self.folder.name, "test.db")
        command = [*wrap, SLUICE, "serve", "--xmlrpc", f"127.0.0.1:{self.port}", "--zerorpc", self.endpoint, "--data", self.data]
        if probe:
            command.append("--probe")
        if config is not None:
            path = os.path.join(self.folder.name, "sluice.toml")
            with open(path, "w") as f:
                f.write(config)
            command += ["-c", path]
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **(environment or {})))
        self.ready = self.process.stdout.readline()
        if not self.ready:
            raise RuntimeError(f"sluice did not start: {self.process.stderr.read()}")

    def rss_kb(self):
        return self._status("VmRSS")

    def peak_kb(self):
        """The most resident memory since the start, or since clear_refs was written."""
        return self._status("VmHWM")

    def _status(self, key):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith(key)).split()[1])

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends the gateway as an operator does; answers its exit code."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("sluice did not end within 40 s of SIGTERM")
        self.process.stdout.close()
        self.process.stderr.close()
        self.folder.cleanup()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@contextlib.contextmanager
def serving(cluster, count=2):
    """Gateways on one of tests/clusters, which is brought up before them and destroyed after them."""
    with cluster, contextlib.ExitStack() as stack:
        yield [stack.enter_context(Gateway(data=cluster.url())) for _ in range(count)]
