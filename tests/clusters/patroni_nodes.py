"""A throw-away PostgreSQL cluster that Patroni looks after, with one etcd to vote in: primaries are elected, nobody promotes them."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

from clusters import Problem, wait_for
from postgres import Postgres

COMMANDS = {
    "up": ("up", "make the cluster, or start what is stopped"),
    "destroy": ("destroy", "stop all nodes, remove everything"),
    "status": ("status", "a line for each node"),
    "url": ("url", "the connection string of all nodes"),
    "sql": ("sql", "NODE TEXT: run a statement as the superuser"),
    "leader": ("leader", "the number of the primary"),
    "kill": ("kill", "NODE: SIGKILL Patroni and PostgreSQL, as if the machine had died"),
    "start": ("start", "NODE: start Patroni again, which brings the node back as a replica"),
    "freeze": ("freeze", "NODE: SIGSTOP Patroni and PostgreSQL"),
    "thaw": ("thaw", "NODE: SIGCONT"),
    "switchover": ("switchover", "hand the primary's role to the synchronous replica in good order"),
}

# The shortest that Patroni takes: the primary's lease, and how often each node looks.
LEASE_S, LOOK_S = 8, 1

CONFIGURATION = {
    "bootstrap": {
        "dcs": {"ttl": LEASE_S, "loop_wait": LOOK_S, "retry_timeout": 3, "synchronous_mode": True,
                "postgresql": {"use_pg_rewind": True,
                               "parameters": {"wal_log_hints": "on", "hot_standby_feedback": "on", "max_connections": 120, "shared_buffers": "32MB", "wal_keep_size": "64MB",
                                              "wal_receiver_status_interval": "1s", "wal_receiver_timeout": "5s", "wal_sender_timeout": "5s"}}},
        "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, {"auth": "trust"}],
    },
    "postgresql": {
        "authentication": {who: {"username": "postgres", "password": "unused"} for who in ("superuser", "replication", "rewind")},
        "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
        "basebackup": {"checkpoint": "fast"},
    },
}


class Patroni(Postgres):
    """A PostgreSQL cluster on 127.0.0.1 that Patroni looks after. A failover loses no acknowledged commit (synchronous_mode)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for program in ("patroni", "etcd"):
            if not shutil.which(program):
                raise Problem(f"{program} is not installed (Debian packages patroni, python3-etcd and etcd-server)")
        self.processes = {}

    # Ports: PostgreSQL of each node, Patroni of each node, etcd's two.
    def ports_needed(self):
        return 2 * self.nodes + 2

    def rest_port(self, node):
        return self.port + self.nodes + node

    def etcd_port(self):
        return self.port + 2 * self.nodes

    def launch(self, name, command):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen([*self.run_as, *map(str, command)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       env=dict(os.environ, LC_ALL="C.UTF-8"), start_new_session=True)
        self.processes[name] = process
        (self.folder / f"{name}.pid").write_text(str(process.pid))

    def manager(self, name):
        """The pid of etcd, or of a node's Patroni."""
        try:
            pid = int((self.folder / f"{name}.pid").read_text())
            return pid if str(self.folder) in pathlib.Path(f"/proc/{pid}/cmdline").read_text() else None
        except (OSError, ValueError):
            return None

    def end(self, name, how=signal.SIGKILL):
        if pid := self.manager(name):
            os.kill(pid, how)
            wait_for(lambda: self.reaped(name) and self.manager(name) != pid, f"{name} to end")

    def reaped(self, name):
        process = self.processes.get(name)
        return not process or process.poll() is not None

    def configure(self, node):
        at = f"127.0.0.1:{self.rest_port(node)}"
        mine = {"scope": "sluice", "name": f"node{node}", "restapi": {"listen": at, "connect_address": at}, "etcd": {"hosts": f"127.0.0.1:{self.etcd_port()}"}, **CONFIGURATION}
        mine["postgresql"] = {**CONFIGURATION["postgresql"], "listen": f"127.0.0.1:{self.node_port(node)}", "connect_address": f"127.0.0.1:{self.node_port(node)}",
                              "data_dir": str(self.node_folder(node)), "bin_dir": str(self.bin), "pgpass": str(self.folder / f"pgpass{node}"),
                              "parameters": {"unix_socket_directories": "", "fsync": "on" if self.fsync else "off"}}
        (self.folder / f"patroni{node}.yml").write_text(json.dumps(mine))  # which is YAML too

    def ask(self, node, path):
        """Whether a node's Patroni answers 200."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port(node)}/{path}", timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def find_leader(self):
        return next((n for n in range(self.nodes) if self.ask(n, "primary")), None)

    def leader(self):
        wait_for(lambda: self.find_leader() is not None, "a primary", 60, every=0.1)
        return self.find_leader()

    def start(self, node):
        if not self.manager(f"patroni{node}"):
            self.configure(node)
            self.launch(f"patroni{node}", [shutil.which("patroni"), self.folder / f"patroni{node}.yml"])

    def settled(self):
        """A primary, a synchronous replica that it may hand over to, and all others replicas."""
        roles = [self.ask(n, "replica") or self.ask(n, "primary") for n in range(self.nodes)]
        return all(roles) and any(self.ask(n, "sync") for n in range(self.nodes))

    def settle(self):
        wait_for(self.settled, f"all nodes to have their roles (see the logs in {self.folder})", 90, every=0.1)

    def up(self):
        self.save()
        first = not (self.node_folder(0) / "PG_VERSION").exists()
        if not self.manager("etcd"):
            clients, peers = (f"http://127.0.0.1:{self.etcd_port() + i}" for i in range(2))
            self.launch("etcd", [shutil.which("etcd"), "--name", "e", "--data-dir", self.folder / "etcd", "--listen-client-urls", clients, "--advertise-client-urls", clients,
                                 "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"e={peers}", "--enable-v2=true", "--log-level", "warn"])
        self.start(0)  # the first makes the cluster; the others copy it
        leader = self.leader()
        if first:
            self.sql(leader, "CREATE ROLE app LOGIN", database="postgres")
            self.sql(leader, "CREATE DATABASE app OWNER app", database="postgres")
        for node in range(1, self.nodes):
            self.start(node)
        self.settle()

    def tree(self, node):
        manager = self.manager(f"patroni{node}")
        return ([manager] if manager else []) + super().tree(node)

    def kill(self, node):
        super().kill(node)
        if process := self.processes.pop(f"patroni{node}", None):
            process.wait()

    def switchover(self):
        """Answers who is the primary now."""
        old, new = self.leader(), next(n for n in range(self.nodes) if self.ask(n, "sync"))
        order = json.dumps({"leader": f"node{old}", "candidate": f"node{new}"}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{self.rest_port(old)}/switchover", order, method="POST"), timeout=60):
                pass
        except urllib.error.HTTPError as refusal:
            raise Problem(f"the switchover from node {old} to node {new} was refused: {refusal.read().decode()}") from None
        wait_for(lambda: self.ask(new, "primary"), f"node {new} to be the primary")
        return new

    def destroy(self):
        for node in range(self.nodes):
            self.thaw(node)
            self.end(f"patroni{node}")  # else it would start what is stopped
        self.end("etcd")
        super().destroy()
