"""Servers that are one plain process each: started in the foreground, known by what is in their command line."""

import contextlib
import pathlib
import signal
import subprocess

from clusters import Cluster, Problem, wait_for

COMMANDS = {
    "up": ("up", "make the nodes, or start those that are stopped"),
    "down": ("down", "stop all nodes, keep the data"),
    "destroy": ("destroy", "stop all nodes, remove everything"),
    "status": ("status", "a line for each node"),
    "hosts": ("hosts", "HOST:PORT of all nodes, by commas"),
    "stop": ("stop", "NODE: clean stop"),
    "kill": ("kill", "NODE: SIGKILL"),
    "start": ("start", "NODE: start again"),
    "wipe": ("wipe", "NODE: forget its data (of a stopped node)"),
    "freeze": ("freeze", "NODE: SIGSTOP"),
    "thaw": ("thaw", "NODE: SIGCONT"),
}


class PlainServers(Cluster):
    """Subclasses say how a node is configured, with what command it runs, and how to tell that it serves."""

    state_names = ("port", "nodes", "fsync")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.servers = {}  # that this object started

    def configure(self, node):
        raise NotImplementedError

    def command(self, node):
        raise NotImplementedError

    def answers(self, node):
        raise NotImplementedError

    def describe(self, node):
        return ""

    def pid_file(self, node):
        return pathlib.Path(f"{self.node_folder(node)}.pid")

    def pid(self, node):
        with contextlib.suppress(OSError, ValueError):
            pid = int(self.pid_file(node).read_text())
            # A zombie's command line is empty. A server may rewrite its own, so it is looked for in its folder.
            if pathlib.Path(f"/proc/{pid}/cwd").resolve() == self.node_folder(node) and pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        return None

    def frozen(self, node):
        pid = self.pid(node)
        return bool(pid) and "State:\tT" in pathlib.Path(f"/proc/{pid}/status").read_text()

    def hosts(self, nodes=None):
        return ",".join(f"127.0.0.1:{self.node_port(n)}" for n in (range(self.nodes) if nodes is None else nodes))

    def status(self):
        lines = []
        for node in range(self.nodes):
            state = "down" if not self.pid(node) else "frozen" if self.frozen(node) else "up" if self.answers(node) else "silent"
            lines.append(f"{node} {self.node_port(node)} {state} {self.describe(node) if state == 'up' else ''}".rstrip())
        return "\n".join(lines)

    def launch(self, node):
        if self.pid(node):
            return
        self.run("mkdir", "-p", self.node_folder(node))
        self.configure(node)
        with open(f"{self.node_folder(node)}.log", "ab") as log:
            server = subprocess.Popen([*self.run_as, *map(str, self.command(node))], cwd=self.node_folder(node), stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=subprocess.STDOUT, start_new_session=True)
        self.servers[node] = server
        self.pid_file(node).write_text(str(server.pid))

    def ready(self, node):
        server = self.servers.get(node)
        wait_for(lambda: (server and server.poll() is not None) or self.answers(node), f"node {node} to answer (see {self.node_folder(node)}.log)")
        if server and server.poll() is not None:
            raise Problem(f"node {node} ended as it started (see {self.node_folder(node)}.log)")

    def start(self, node):
        self.launch(node)
        self.ready(node)

    def up(self):
        self.save()
        for node in range(self.nodes):
            self.launch(node)
        for node in range(self.nodes):
            self.ready(node)

    def reap(self, node):
        if server := self.servers.pop(node, None):
            server.wait()

    def stop(self, node):
        if pid := self.pid(node):
            self.signal(node, signal.SIGTERM)
            self.signal(node, signal.SIGCONT)
            wait_for(lambda: self.pid(node) != pid, f"node {node} to end")
        self.reap(node)

    def kill(self, node):
        super().kill(node)
        self.reap(node)

    def wipe(self, node):
        if self.pid(node):
            raise Problem(f"node {node} runs: stop or kill it before its data is wiped")
        self.run("rm", "-rf", self.node_folder(node))

    def down(self):
        for node in range(self.nodes):
            self.stop(node)

    def destroy(self):
        for node in range(self.nodes):
            self.kill(node)
        super().destroy()
