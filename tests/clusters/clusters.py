"""What the clusters of real servers share: a folder of their own, ports, accounts, signals, waiting, and a command line.

A cluster is a program (`tests/clusters/postgres --dir DIR up`) and a class (`with Postgres() as cluster:`). Everything listens on
127.0.0.1, lives below one folder and is gone after destroy().
"""

import argparse
import contextlib
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Problem(Exception):
    pass


def free_ports(count):
    """The first of `count` neighbouring ports that nobody listens on, below the ephemeral range."""
    while True:
        first = random.randrange(12000, 32000 - count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def wait_for(condition, what, seconds=30, every=0.02):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Problem(f"waited {seconds} s in vain: {what}")
        time.sleep(every)


def children(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]
    return []


def runs(pid):
    """Nor is it a zombie."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


class Cluster:
    """Base of the clusters. Subclasses say `account` and `programs`, and how a node is made, started and stopped."""

    account = None  # who runs the servers when root calls: they refuse root
    state_names = ("port", "nodes", "primary", "fsync")

    def __init__(self, folder=None, replicas=2, port=None, fsync=True):
        self.temporary = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix=f"sluice-{type(self).__name__.lower()}-")).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.primary, self.nodes, self.fsync, self.port = 0, replicas + 1, fsync, port
        self.state_file = self.folder / "cluster.json"
        if self.state_file.exists():
            for name, value in json.loads(self.state_file.read_text()).items():
                setattr(self, name, value)
        elif self.port is None:
            self.port = free_ports(self.ports_needed())
        if os.geteuid() == 0 and self.account:
            user = pwd.getpwnam(self.account)
            os.chmod(self.folder, 0o755)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.run_as = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", "--"]
        else:
            self.run_as = []

    def ports_needed(self):
        return self.nodes

    def save(self):
        self.state_file.write_text(json.dumps({name: getattr(self, name) for name in self.state_names}))

    def run(self, *command, check=True, **kwargs):
        # No server inherits our descriptors, our terminal or our session.
        done = subprocess.run([*self.run_as, *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd=self.folder, start_new_session=True, **kwargs)
        if check and done.returncode:
            raise Problem(f"{command[0]} ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
        return done.stdout

    def node_folder(self, node):
        return self.folder / f"node{node}"

    def node_port(self, node):
        return self.port + node

    def pid(self, node):
        raise NotImplementedError

    def tree(self, node):
        pid = self.pid(node)
        return [pid, *children(pid)] if pid else []

    def signal(self, node, which):
        for pid in self.tree(node):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def listens(self, node):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.node_port(node))) == 0

    # Commands that are the same for all.

    def kill(self, node):
        """SIGKILL: a crash."""
        everyone = self.tree(node)
        self.signal(node, signal.SIGKILL)
        # A child that belongs to nobody may stay a zombie; one whose parent is gone is reaped by init.
        for pid in everyone:
            wait_for(lambda: not runs(pid), f"process {pid} to die")

    def freeze(self, node):
        """SIGSTOP: the server hangs, its port stays open."""
        self.signal(node, signal.SIGSTOP)

    def thaw(self, node):
        self.signal(node, signal.SIGCONT)

    def destroy(self):
        for node in range(self.nodes):
            if self.pid(node):
                self.signal(node, signal.SIGKILL)
        for node in range(self.nodes):
            wait_for(lambda: not self.listens(node), f"node {node} to leave its port")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_):
        self.destroy()


def main(cluster_class, commands):
    """`commands`: name -> (method name, number of node arguments, help)."""
    parser = argparse.ArgumentParser(description=cluster_class.__doc__.splitlines()[0],
                                     epilog="; ".join(f"{name}: {help}" for name, (_, help) in commands.items()))
    parser.add_argument("--dir", required=True, help="everything lives below it")
    parser.add_argument("--port", type=int, help="node K listens on PORT+K (at the first up; any free ones)")
    parser.add_argument("--replicas", type=int, default=2, help="at the first up")
    parser.add_argument("--no-fsync", action="store_true", help="faster, and not safe from a crash of the machine")
    parser.add_argument("command", choices=commands, metavar="COMMAND", help=", ".join(commands))
    parser.add_argument("arguments", nargs="*", help="a node's number, and what the command needs")
    options = parser.parse_args()
    try:
        cluster = cluster_class(options.dir, options.replicas, options.port, not options.no_fsync)
        arguments = [int(a) if a.isdigit() else a for a in options.arguments]
        answer = getattr(cluster, commands[options.command][0])(*arguments)
        if answer is not None:
            print(answer)
    except Problem as problem:
        sys.exit(f"{parser.prog}: {problem}")
