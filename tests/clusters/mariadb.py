"""A throw-away MariaDB cluster: node 0 is the first primary, the others are its GTID replicas."""

import concurrent.futures
import contextlib
import math
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from clusters import Cluster, Problem, wait_for

COMMANDS = {
    "up": ("up", "make the cluster, or start what is stopped"),
    "down": ("down", "stop all nodes, keep the data"),
    "destroy": ("destroy", "stop all nodes, remove everything"),
    "status": ("status", "a line for each node"),
    "url": ("url", "the connection string of all nodes"),
    "sql": ("sql", "NODE TEXT: run a statement as root"),
    "sync": ("sync", "wait until every live replica has what the primary has"),
    "stop": ("stop", "NODE: clean stop"),
    "kill": ("kill", "NODE: SIGKILL"),
    "start": ("start", "NODE: start again in its old role"),
    "freeze": ("freeze", "NODE: SIGSTOP"),
    "thaw": ("thaw", "NODE: SIGCONT"),
    "promote": ("promote", "NODE: make a replica the primary; live replicas follow it"),
    "rejoin": ("rejoin", "NODE: throw its data away and replicate everything anew"),
    "lag": ("lag", "NODE MS: apply so late, rounded up to seconds; 0: at once"),
    "pause": ("pause", "NODE: stop applying"),
    "resume": ("resume", "NODE: go on applying"),
}

# A server that starts removes every temporary table from its tmpdir, whoever is using it: each has one of its own.
CONFIGURATION = """[mariadbd]
datadir = {folder}/data
tmpdir = {folder}/tmp
socket = {socket}
pid-file = {folder}/server.pid
log-error = {folder}/server.log
general_log_file = {folder}/general.log
bind-address = 127.0.0.1
port = {port}
server-id = {server_id}
read_only = {read_only}
skip-name-resolve
log-bin = binlog
relay-log = relay
log-slave-updates
binlog-format = ROW
gtid-strict-mode
log_bin_trust_function_creators = 1
slave_net_timeout = 10
character-set-server = utf8mb4
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
performance_schema = off
max_connections = 300
"""
DURABLE = "sync_binlog = 1\n"
# What was acknowledged outlives a killed process, though not a power cut: at 0 a replica that is killed may come back without what its
# binary log has, and then follows nobody.
FAST = "sync_binlog = 0\ninnodb_flush_log_at_trx_commit = 2\ninnodb_flush_method = nosync\n"

# app has all rights on its database but not READ_ONLY ADMIN, so that read_only holds for it.
ACCOUNTS = """CREATE DATABASE app; CREATE USER app@127.0.0.1; GRANT ALL ON app.* TO app@127.0.0.1;
GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO app@127.0.0.1"""


class MariaDB(Cluster):
    """A throw-away MariaDB cluster on 127.0.0.1. Superuser `root`; user `app` owns database `app`; no passwords."""

    account = "mysql"
    state_names = (*Cluster.state_names, "lives")

    def __init__(self, *args, settings="", **kwargs):
        self.lives = {}  # how often each node was made anew
        super().__init__(*args, **kwargs)
        self.settings = settings
        self.servers = {}  # that this object started
        for name in ("mariadbd", "mariadb", "mariadb-install-db"):
            if not self.program(name):
                raise Problem(f"{name} is not installed (Debian packages mariadb-server, mariadb-client)")

    @staticmethod
    def program(name):
        return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def url(self, user="app", nodes=None):
        return f"mariadb://{user}@" + ",".join(f"127.0.0.1:{self.node_port(n)}" for n in (range(self.nodes) if nodes is None else nodes)) + "/app"

    def client(self, node, *arguments):
        return self.run(self.program("mariadb"), "--no-defaults", "--protocol=tcp", "--connect-timeout=3", "-h", "127.0.0.1", "-P", self.node_port(node),
                        "--batch", *arguments)

    def sql(self, node, text, user="root", database="app"):
        return self.client(node, "-u", user, "--skip-column-names", *([database] if database else []), "-e", text).strip()

    def slave_status(self, node):
        lines = (line.partition(":") for line in self.client(node, "-u", "root", "-E", "-e", "SHOW SLAVE STATUS").splitlines())
        return {name.strip(): value.strip() for name, divider, value in lines if divider}

    def pid(self, node):
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.node_folder(node) / "server.pid").read_text())
            if f"{self.node_folder(node)}.cnf" in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                return pid
        return None

    def answers(self, node):
        with contextlib.suppress(Problem):
            return bool(self.sql(node, "SELECT 1", database=None))
        return False

    def configure(self, node):
        folder = self.node_folder(node)
        socket = str(folder / "sock")
        if len(socket) > 100:  # sockaddr_un holds 107 characters
            socket = os.path.join(tempfile.gettempdir(), f"mariadb-{self.node_port(node)}.sock")
        # A node that was made anew has a new server id: a replica ignores events that carry its own.
        text = CONFIGURATION.format(folder=folder, socket=socket, port=self.node_port(node), read_only=int(node != self.primary),
                                    server_id=self.node_port(node) + 100_000 * self.lives.get(str(node), 0))
        pathlib.Path(f"{folder}.cnf").write_text(text + (DURABLE if self.fsync else FAST) + self.settings)

    def make_template(self):
        """An empty data folder, of which every node gets a copy."""
        template = self.folder / "template"
        if not (template / "mysql").exists():
            temporary = self.folder / "tmp"
            self.run("rm", "-rf", template, temporary)
            self.run("mkdir", temporary)
            self.run(self.program("mariadb-install-db"), "--no-defaults", f"--datadir={template}", f"--tmpdir={temporary}", "--skip-test-db", "--auth-root-authentication-method=normal",
                     "--innodb-log-file-size=32M")

    def has_data(self, node):
        return (self.node_folder(node) / "data" / "mysql").exists()

    def make(self, node):
        folder = self.node_folder(node)
        self.run("rm", "-rf", folder)
        self.run("mkdir", folder, folder / "tmp")
        self.run("cp", "-a", self.folder / "template", folder / "data")
        self.configure(node)
        self.start(node)

    def follow(self, node):
        self.sql(node, f"""STOP SLAVE; CHANGE MASTER TO master_host='127.0.0.1', master_port={self.node_port(self.primary)}, master_user='root',
                           master_connect_retry=1, master_use_gtid=slave_pos; SET GLOBAL read_only=1; START SLAVE""", database=None)
        self.configure(node)

    def up(self):
        self.save()
        fresh = [n for n in range(self.nodes) if not self.has_data(n)]
        if fresh:
            self.make_template()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda n: self.make(n) if n in fresh else self.start(n), range(self.nodes)))
        if 0 in fresh:
            self.sql(0, ACCOUNTS, database=None)
        for node in fresh:
            if node != self.primary:
                self.follow(node)
        self.sync()

    def start(self, node):
        if self.pid(node):
            return
        if not self.has_data(node):
            raise Problem(f"node {node} has no data: run up, or rejoin {node}")
        (self.node_folder(node) / "server.pid").unlink(missing_ok=True)  # of a killed one
        server = subprocess.Popen([*self.run_as, self.program("mariadbd"), f"--defaults-file={self.node_folder(node)}.cnf"], cwd=self.folder,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.servers[node] = server
        wait_for(lambda: server.poll() is not None or self.answers(node), f"node {node} to answer (see server.log)", 60)
        if server.poll() is not None:
            raise Problem(f"node {node} ended as it started (see {self.node_folder(node)}/server.log)")

    def stop(self, node):
        if pid := self.pid(node):
            self.signal(node, signal.SIGTERM)
            self.signal(node, signal.SIGCONT)
            wait_for(lambda: self.pid(node) != pid, f"node {node} to end", 60)
        self.reap(node)

    def reap(self, node):
        if server := self.servers.pop(node, None):
            server.wait()

    def kill(self, node):
        super().kill(node)
        if server := self.servers.get(node):
            server.kill()
        self.reap(node)

    def down(self):
        for node in sorted(range(self.nodes), key=lambda n: n == self.primary):
            self.stop(node)

    def destroy(self):
        for node in range(self.nodes):
            self.kill(node)
        super().destroy()

    def is_replica(self, node):
        return bool(self.slave_status(node))

    def frozen(self, node):
        pid = self.pid(node)
        return bool(pid) and "State:\tT" in pathlib.Path(f"/proc/{pid}/status").read_text()

    def freeze(self, node):
        super().freeze(node)
        wait_for(lambda: self.frozen(node), f"node {node} to stand still")

    def live_replicas(self):
        return [n for n in range(self.nodes) if n != self.primary and self.pid(n) and not self.frozen(n) and self.is_replica(n)]

    def applied(self, node, gtid):
        return self.sql(node, f"SELECT master_gtid_wait('{gtid}', 0)", database=None) == "0"

    def sync(self, seconds=30):
        target = self.sql(self.primary, "SELECT @@gtid_current_pos", database=None)
        for node in self.live_replicas():
            wait_for(lambda: self.applied(node, target), f"replica {node} to reach {target}", seconds)

    def promote(self, node):
        """Once it has applied what it received. The old primary is left as it is."""
        if not self.is_replica(node):
            raise Problem(f"node {node} is no replica")
        # The relay log is kept only while one of the two threads runs.
        self.sql(node, "START SLAVE sql_thread; STOP SLAVE io_thread", database=None)
        received = self.slave_status(node)["Gtid_IO_Pos"]
        wait_for(lambda: not received or self.applied(node, received), f"replica {node} to apply {received}")
        followers = [n for n in self.live_replicas() if n != node]
        self.sql(node, "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only=0", database=None)
        self.primary = node
        self.save()
        self.configure(node)
        for other in followers:
            self.follow(other)

    def rejoin(self, node):
        if node == self.primary:
            raise Problem(f"node {node} is the primary")
        self.kill(node)
        self.lives[str(node)] = self.lives.get(str(node), 0) + 1
        self.save()
        self.make(node)
        self.follow(node)

    def lag(self, node, ms):
        self.sql(node, f"STOP SLAVE; CHANGE MASTER TO master_delay={math.ceil(ms / 1000)}; START SLAVE", database=None)

    def pause(self, node):
        self.sql(node, "STOP SLAVE sql_thread", database=None)

    def resume(self, node):
        self.sql(node, "START SLAVE sql_thread", database=None)

    def status(self):
        lines = []
        for node in range(self.nodes):
            state = "down" if not self.pid(node) else "frozen" if self.frozen(node) else "replica" if self.is_replica(node) else "primary"
            at = self.sql(node, "SELECT @@gtid_current_pos", database=None) if state in ("primary", "replica") else ""
            lines.append(f"node {node}  port {self.node_port(node)}  {state}  {at}")
        return "\n".join(lines)
