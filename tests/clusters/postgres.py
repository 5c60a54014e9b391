"""A throw-away PostgreSQL cluster: node 0 is the first primary, the others are streaming replicas."""

import concurrent.futures
import os
import pathlib
import signal

from clusters import Cluster, Problem, wait_for

COMMANDS = {
    "up": ("up", "make the cluster, or start what is stopped"),
    "down": ("down", "stop all nodes, keep the data"),
    "destroy": ("destroy", "stop all nodes, remove everything"),
    "status": ("status", "a line for each node"),
    "url": ("url", "the connection string of all nodes"),
    "sql": ("sql", "NODE TEXT: run a statement as the superuser"),
    "sync": ("sync", "wait until every live replica has what the primary has"),
    "stop": ("stop", "NODE: clean stop"),
    "kill": ("kill", "NODE: SIGKILL"),
    "start": ("start", "NODE: start again in its old role"),
    "freeze": ("freeze", "NODE: SIGSTOP"),
    "thaw": ("thaw", "NODE: SIGCONT"),
    "promote": ("promote", "NODE: make a replica the primary; live replicas follow it"),
    "rejoin": ("rejoin", "NODE: clone it anew as a replica"),
    "lag": ("lag", "NODE MS: apply commits so late; 0: at once"),
    "pause": ("pause", "NODE: stop replay"),
    "resume": ("resume", "NODE: go on with replay"),
}


def programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: -float(p.parts[-3]))
    if not found:
        raise Problem("no PostgreSQL server is installed (Debian package postgresql-15)")
    return found[0].parent


class Postgres(Cluster):
    """A throw-away PostgreSQL cluster on 127.0.0.1. Superuser `postgres`; user `app` owns database `app`; no passwords."""

    account = "postgres"

    def __init__(self, *args, settings="", **kwargs):
        super().__init__(*args, **kwargs)
        self.bin = programs()
        self.settings = settings

    def url(self, user="app", nodes=None):
        return f"postgresql://{user}@" + ",".join(f"127.0.0.1:{self.node_port(n)}" for n in (range(self.nodes) if nodes is None else nodes)) + "/app"

    def sql(self, node, text, user="postgres", database="app"):
        environment = dict(os.environ, PGCONNECT_TIMEOUT="3")
        return self.run(self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", self.node_port(node), "-U", user, "-d", database,
                        "-c", text, env=environment).strip()

    def pid(self, node):
        try:
            pid = int((self.node_folder(node) / "postmaster.pid").read_text().split()[0])
            return pid if str(self.node_folder(node)) in pathlib.Path(f"/proc/{pid}/cmdline").read_text() else None
        except (OSError, ValueError, IndexError):
            return None

    def configure(self, node):
        folder = self.node_folder(node)
        (folder / "node.conf").write_text(
            f"listen_addresses = '127.0.0.1'\nport = {self.node_port(node)}\nunix_socket_directories = ''\ncluster_name = 'node{node}'\n"
            f"fsync = {'on' if self.fsync else 'off'}\nwal_level = replica\nhot_standby_feedback = on\nmax_wal_senders = 16\nwal_keep_size = 256MB\nwal_log_hints = on\n"
            "max_connections = 200\nshared_buffers = 32MB\nwal_receiver_status_interval = 1s\nwal_retrieve_retry_interval = 100ms\nlog_line_prefix = '%m [%p] '\n" + self.settings)
        if self.run_as:
            os.chown(folder / "node.conf", folder.stat().st_uid, folder.stat().st_gid)

    def upstream(self, node, of=None):
        return f"host=127.0.0.1 port={self.node_port(self.primary if of is None else of)} user=postgres application_name=node{node}"

    def make_primary(self):
        folder = self.node_folder(0)
        self.run(self.bin / "initdb", "-D", folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with open(folder / "postgresql.conf", "a") as f:
            f.write("include 'node.conf'\n")
        (folder / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n")
        settings, self.settings = self.settings, ""  # a primary without replicas may wait for them
        self.configure(0)
        self.settings = settings
        self.start(0)
        self.sql(0, "CREATE ROLE app LOGIN", database="postgres")
        self.sql(0, "CREATE DATABASE app OWNER app", database="postgres")

    def make_replica(self, node):
        folder = self.node_folder(node)
        self.run("rm", "-rf", folder)
        self.run(self.bin / "pg_basebackup", "-D", folder, "-d", self.upstream(node), "-X", "stream", "-c", "fast", "--no-sync")
        self.configure(node)
        self.make_standby(node, self.primary)
        self.start(node)

    def make_standby(self, node, of):
        """A node that is stopped is a replica when it starts."""
        folder = self.node_folder(node)
        # What an earlier replica was told may have come along.
        self.run("sh", "-c", f'printf "%s\\n" "primary_conninfo = \'{self.upstream(node, of)}\'" > {folder}/postgresql.auto.conf && touch {folder}/standby.signal')

    def up(self):
        self.save()
        others = [n for n in range(self.nodes) if n != self.primary]
        if (self.node_folder(self.primary) / "PG_VERSION").exists():
            self.start(self.primary)
        else:
            self.make_primary()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda n: self.start(n) if (self.node_folder(n) / "PG_VERSION").exists() else self.make_replica(n), others))
        self.configure(self.primary)
        self.sql(self.primary, "SELECT pg_reload_conf()")

    def start(self, node):
        if self.pid(node):
            return
        (self.node_folder(node) / "postmaster.pid").unlink(missing_ok=True)  # of a killed one
        self.run(self.bin / "pg_ctl", "-s", "-w", "-t", "60", "-D", self.node_folder(node), "-l", self.folder / f"node{node}.log", "start")

    def stop(self, node, mode="fast"):
        if self.pid(node):
            self.signal(node, signal.SIGCONT)
            self.run(self.bin / "pg_ctl", "-s", "-w", "-t", "60", "-D", self.node_folder(node), "-m", mode, "stop")

    def down(self):
        for node in sorted(range(self.nodes), key=lambda n: n == self.primary):
            self.stop(node)

    def destroy(self):
        # Shared memory is given back by a server that ends by itself.
        for node in range(self.nodes):
            try:
                self.stop(node, "immediate")
            except Problem:
                self.kill(node)
        super().destroy()

    def is_replica(self, node):
        return self.sql(node, "SELECT pg_is_in_recovery()", database="postgres") == "t"

    def frozen(self, node):
        pid = self.pid(node)
        return bool(pid) and "State:\tT" in pathlib.Path(f"/proc/{pid}/status").read_text()

    def live_replicas(self):
        return [n for n in range(self.nodes) if n != self.primary and self.pid(n) and not self.frozen(n)]

    def sync(self, seconds=30):
        # Not the insert position: after a switch of segments it lies behind a page header that nobody replays.
        target = self.sql(self.primary, "SELECT pg_current_wal_flush_lsn()")
        for node in self.live_replicas():
            wait_for(lambda: self.sql(node, f"SELECT coalesce(pg_last_wal_replay_lsn() >= '{target}', false)") == "t", f"replica {node} to reach {target}", seconds)

    def heir(self):
        """The replica that has most of a primary that is gone. What that one sent may still lie in their sockets: each is asked once it has given up on it."""
        received = {}
        for node in self.live_replicas():
            wait_for(lambda: self.sql(node, "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "0", f"replica {node} to notice that its primary is gone")
            received[node] = int(self.sql(node, "SELECT pg_last_wal_receive_lsn() - '0/0'::pg_lsn"))
        return max(received, key=received.get)

    def promote(self, node):
        if not self.is_replica(node):
            raise Problem(f"node {node} is no replica")
        self.sql(node, "ALTER SYSTEM RESET recovery_min_apply_delay")
        self.sql(node, "SELECT pg_reload_conf()")
        self.run(self.bin / "pg_ctl", "-s", "-w", "-t", "60", "-D", self.node_folder(node), "promote")
        self.primary = node
        self.save()
        for other in self.live_replicas():
            if self.is_replica(other):
                self.sql(other, f"ALTER SYSTEM SET primary_conninfo = '{self.upstream(other)}'")
                self.sql(other, "SELECT pg_reload_conf()")

    def rejoin(self, node):
        if node == self.primary:
            raise Problem(f"node {node} is the primary")
        self.stop(node, "immediate")
        self.make_replica(node)

    def lag(self, node, ms):
        self.sql(node, f"ALTER SYSTEM SET recovery_min_apply_delay = '{ms}ms'")
        self.sql(node, "SELECT pg_reload_conf()")

    def pause(self, node):
        self.sql(node, "SELECT pg_wal_replay_pause()")

    def resume(self, node):
        self.sql(node, "SELECT pg_wal_replay_resume()")

    def status(self):
        lines = []
        for node in range(self.nodes):
            state = "down" if not self.pid(node) else "frozen" if self.frozen(node) else "replica" if self.is_replica(node) else "primary"
            lines.append(f"node {node}  port {self.node_port(node)}  {state}")
        return "\n".join(lines)
