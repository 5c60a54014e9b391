"""From ready to drained: what systemd and load balancers are told, and a configuration that changes while calls run."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
import xmlrpc.client

from gateway import SLUICE, Gateway, free_port, wait_for


def get(gateway, path):
    try:
        with urllib.request.urlopen(gateway.url + path, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


class Supervisor:
    """The socket of sd_notify, and what came over it."""

    def __init__(self, folder):
        self.path = f"{folder}/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)

    def wait_for(self, state):
        seen = []
        while state not in seen:
            seen += self.socket.recv(4096).decode().split("\n")
        return seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Readiness(unittest.TestCase):
    def test_ready_and_health_over_http(self):
        with Gateway() as gateway:
            wait_for(lambda: get(gateway, "/ready") == (200, b"ready\n"), "the gateway to be ready")
            self.assertEqual(get(gateway, "/health"), (200, b"well\n"))
            self.assertEqual(get(gateway, "/other")[0], 405)

    def test_ready_says_no_before_the_listener_closes_and_calls_go_on(self):
        with Gateway(config="[gateway]\nready_ms = 1500\n") as gateway:
            server = xmlrpc.client.ServerProxy(gateway.url)
            gateway.terminate()
            wait_for(lambda: get(gateway, "/ready") == (503, b"draining\n"), "/ready to say no")
            self.assertEqual(server.add(3, 4), 7)

    def test_two_gateways_restarted_in_turn_behind_a_balancer_lose_no_call(self):
        with tempfile.TemporaryDirectory(prefix="sluice-haproxy-") as folder:
            config = "[gateway]\nready_ms = 600\n"
            gateways = [Gateway(config=config) for _ in range(2)]
            ports = [gateway.port for gateway in gateways]
            front = free_port()
            with open(f"{folder}/haproxy.cfg", "w") as f:
                f.write(f"defaults\n mode http\n timeout connect 2s\n timeout client 20s\n timeout server 20s\n retries 3\n option redispatch\n"
                        f" option httpchk GET /ready\nlisten sluice\n bind 127.0.0.1:{front}\n default-server check inter 100ms fall 1 rise 1\n"
                        + "".join(f" server s{i} 127.0.0.1:{port}\n" for i, port in enumerate(ports)))
            balancer = subprocess.Popen(["/usr/sbin/haproxy", "-f", f"{folder}/haproxy.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ended, calls, failures = threading.Event(), [0], []

            def caller():
                while not ended.is_set():
                    try:
                        if xmlrpc.client.ServerProxy(f"http://127.0.0.1:{front}").add(20, 22) != 42:
                            raise AssertionError("a wrong answer")
                        calls[0] += 1
                    except Exception as error:
                        failures.append(repr(error))

            def listens():
                try:
                    return xmlrpc.client.ServerProxy(f"http://127.0.0.1:{front}").add(1, 1) == 2
                except (OSError, xmlrpc.client.Error):
                    return False
            try:
                wait_for(listens, "HAProxy to serve")
                callers = [threading.Thread(target=caller) for _ in range(4)]
                for thread in callers:
                    thread.start()
                for restart in range(20):
                    old = gateways[restart % 2]
                    port, data = old.port, os.path.join(folder, f"{restart}.db")
                    self.assertEqual(old.stop(), 0)
                    gateways[restart % 2] = fresh = Gateway("--xmlrpc", f"127.0.0.1:{port}", config=config, data=data)
                    fresh.port, fresh.url = port, f"http://127.0.0.1:{port}"
                    wait_for(lambda: get(fresh, "/ready")[0] == 200, "the new gateway to be ready")
                    served = calls[0]
                    wait_for(lambda: calls[0] > served + 50, "calls")
                    time_of_check = time.monotonic() + 0.4  # several of HAProxy's checks: it has to see that this one is back
                    wait_for(lambda: time.monotonic() > time_of_check, "checks")
            finally:
                ended.set()
                for thread in callers:
                    thread.join()
                balancer.terminate()
                balancer.wait()
                for gateway in gateways:
                    gateway.stop()
            self.assertEqual(failures, [])
            self.assertGreater(calls[0], 1000)


class Systemd(unittest.TestCase):
    def test_it_is_told_of_ready_reloading_stopping_and_the_watchdog(self):
        with tempfile.TemporaryDirectory(prefix="sluice-notify-") as folder, Supervisor(folder) as supervisor:
            with Gateway(environment={"NOTIFY_SOCKET": supervisor.path, "WATCHDOG_USEC": "200000"}) as gateway:
                supervisor.wait_for("READY=1")
                supervisor.wait_for("WATCHDOG=1")
                supervisor.wait_for("WATCHDOG=1")
                gateway.process.send_signal(signal.SIGHUP)
                supervisor.wait_for("RELOADING=1")
                supervisor.wait_for("READY=1")
                gateway.terminate()
                supervisor.wait_for("STOPPING=1")

    UNIT = os.path.join(os.environ["SLUICE_SOURCE"], "packaging/sluice.service")

    def test_the_unit_leaves_no_secrets_in_core_files(self):
        with open(self.UNIT) as f:
            self.assertIn("\nLimitCORE=0\n", f.read())

    def test_the_unit_exposes_little(self):
        told = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", self.UNIT], capture_output=True, text=True, timeout=60)
        exposure = float(re.search(r"exposure level for sluice.service: ([\d.]+)", told.stdout)[1])
        self.assertLessEqual(exposure, 1.5)


class Reload(unittest.TestCase):
    CONFIG = '[access]\nusers = "{folder}/users"\n[role.app]\nmethods = [{methods}]\n'

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-reload-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.tokens = {}
        self.add_user("first")
        self.gateway = Gateway(config=self.CONFIG.format(folder=self.folder, methods='"add"'))
        self.addCleanup(self.gateway.stop)
        self.told = []
        threading.Thread(target=lambda: self.told.extend(iter(self.gateway.process.stderr.readline, "")), daemon=True).start()

    def add_user(self, name):
        made = subprocess.run([SLUICE, "user", "add", name, "--role", "app", "--token", "--users", f"{self.folder}/users"], capture_output=True, text=True, timeout=60)
        self.tokens[name] = made.stdout.strip()

    def call(self, user, method, *args):
        server = xmlrpc.client.ServerProxy(self.gateway.url, headers=[("Authorization", "Bearer " + self.tokens[user])])
        try:
            return getattr(server, method)(*args)
        except xmlrpc.client.Fault as fault:
            return fault.faultCode
        except xmlrpc.client.ProtocolError as refused:
            return refused.errcode

    def reload(self, content=None):
        if content is not None:
            with open(f"{self.gateway.folder.name}/sluice.toml", "w") as f:
                f.write(content)
        told = len(self.told)
        self.gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("reloaded" in line or "as it was" in line for line in self.told[told:]), "the gateway to tell of the reload")
        return "".join(self.told[told:])

    def test_users_and_roles_are_taken_over(self):
        self.assertEqual(self.call("first", "add", 3, 4), 7)
        self.add_user("second")
        self.assertEqual(self.call("second", "add", 3, 4), 401)
        self.reload()
        self.assertEqual(self.call("second", "add", 3, 4), 7)
        self.reload(self.CONFIG.format(folder=self.folder, methods='"system.*"'))
        self.assertEqual(self.call("second", "add", 3, 4), -32003)

    def test_a_broken_file_is_refused_with_its_line_and_the_old_stays(self):
        told = self.reload("[access]\nusers = 7\n")
        self.assertIn("sluice.toml:2:9: access.users must be a string, not 7", told)
        self.assertEqual(self.call("first", "add", 3, 4), 7)
        with open(f"{self.folder}/users", "a") as f:
            f.write("nonsense\n")
        self.assertIn("users:3: expected NAME", self.reload(self.CONFIG.format(folder=self.folder, methods='"add"')))
        self.assertEqual(self.call("first", "add", 3, 4), 7)

    def test_what_is_no_file_in_the_place_of_one_is_refused_and_the_old_stays(self):
        for file in (f"{self.gateway.folder.name}/sluice.toml", f"{self.folder}/users"):
            os.rename(file, file + ".away")
            for make, remove, words in ((os.mkdir, os.rmdir, "Is a directory"), (os.mkfifo, os.remove, "it is no regular file")):
                make(file)
                self.assertIn(f"{file}: cannot be read: {words}", self.reload())
                remove(file)
            os.rename(file + ".away", file)
            self.assertEqual(self.call("first", "add", 3, 4), 7)

    def test_a_missing_users_file_is_refused_and_the_old_stays(self):
        os.rename(f"{self.folder}/users", f"{self.folder}/away")
        self.assertIn("/users: cannot be read: No such file", self.reload())
        self.assertEqual(self.call("first", "add", 3, 4), 7)
        os.rename(f"{self.folder}/away", f"{self.folder}/users")
        self.assertIn("reloaded", self.reload())
        self.assertEqual(self.call("first", "add", 3, 4), 7)

    def test_what_needs_a_restart_is_told(self):
        told = self.reload(self.CONFIG.format(folder=self.folder, methods='"add"') + "[limits]\ndepth = 10\n")
        self.assertIn("limits.depth is another now; that needs a restart", told)

    def test_no_call_is_lost_while_it_reloads(self):
        ended, wrong, counted = threading.Event(), [], []

        def caller(number):
            server = xmlrpc.client.ServerProxy(self.gateway.url, headers=[("Authorization", "Bearer " + self.tokens["first"])])
            count = 0
            while not ended.is_set():
                try:
                    if server.add(number * 1_000_000, count) != number * 1_000_000 + count:
                        wrong.append("crossed answers")
                except Exception as error:
                    wrong.append(repr(error))
                count += 1
            counted.append(count)
        callers = [threading.Thread(target=caller, args=(n,)) for n in range(4)]
        for thread in callers:
            thread.start()
        for _ in range(30):
            self.reload()
        ended.set()
        for thread in callers:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(sum(counted), 200)


if __name__ == "__main__":
    unittest.main()
