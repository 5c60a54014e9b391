"""A MariaDB cluster of real servers on 127.0.0.1: node 0 is the first primary, the others are its GTID replicas."""

import argparse
import concurrent.futures
import contextlib
import json
import math
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONFIGURATION = """[mariadbd]
datadir = {node}/data
socket = {socket}
pid-file = {node}/server.pid
log-error = {node}.log
general_log_file = {node}/general.log
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
session_track_system_variables = autocommit,character_set_client,character_set_connection,character_set_results,time_zone,last_gtid
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
performance_schema = off
max_connections = 200
"""
DURABLE = "sync_binlog = 1\n"
FAST = "sync_binlog = 0\ninnodb_flush_log_at_trx_commit = 0\ninnodb_flush_method = nosync\n"

# app has all rights on its database but not READ_ONLY ADMIN, so that read_only holds for it.
ACCOUNTS = """create database app; create user app@127.0.0.1; grant all on app.* to app@127.0.0.1;
grant slave monitor, binlog monitor on *.* to app@127.0.0.1"""


class ClusterError(Exception):
    pass


def free_ports(count):
    """`count` ports in a row, below the ephemeral range."""
    while True:
        first = random.randrange(12000, 32000 - count)
        with contextlib.suppress(OSError), contextlib.ExitStack() as held:
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.02)


class MariaDB:
    """Its state is the folder: a second object on the same folder, in any process, is the same cluster."""

    def __init__(self, folder, replicas=2, port=None, fsync=True, account="mysql"):
        self.folder = os.path.abspath(folder)
        self.account = account if os.geteuid() == 0 else None
        self._state = os.path.join(self.folder, "cluster.json")
        if os.path.exists(self._state):
            with open(self._state) as f:
                self.__dict__.update(json.load(f))
        else:
            self.port, self.replicas, self.fsync, self.primary, self.lives = port or free_ports(replicas + 1), replicas, fsync, 0, {}

    # What there is.
    def nodes(self):
        return range(self.replicas + 1)

    def live_replicas(self):
        return [k for k in self.nodes() if k != self.primary and self.pid(k) and not self.frozen(k) and self.is_replica(k)]

    def port_of(self, node):
        return self.port + node

    def url(self, user="app", database="app"):
        return f"mariadb://{user}@" + ",".join(f"127.0.0.1:{self.port_of(k)}" for k in self.nodes()) + f"/{database}"

    def dsn(self, node):
        return f"host=127.0.0.1 port={self.port_of(node)} user=app database=app"

    def pid(self, node):
        """The server's process, or None when it does not run."""
        try:
            with open(os.path.join(self._node(node), "server.pid")) as f:
                pid = int(f.readline())
            with open(f"/proc/{pid}/cmdline") as f:
                return pid if self._node(node) + ".cnf" in f.read() else None
        except (OSError, ValueError):
            return None

    def frozen(self, node):
        pid = self.pid(node)
        if not pid:
            return False
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "T"

    def sql(self, node, text, user="app", database="app"):
        """Runs `text` by the command-line client; the rows' columns divided by tabs."""
        return self._client(node, "-u", user, "--skip-column-names", *([database] if database else []), "-e", text)

    def root(self, node, text):
        return self.sql(node, text, "root", None)

    def answers(self, node):
        try:
            self.root(node, "select 1")
        except ClusterError:
            return False
        return True

    def slave_status(self, node):
        lines = self._client(node, "-u", "root", "-E", "-e", "show slave status").splitlines()
        return {name.strip(): value.strip() for name, divider, value in (line.partition(":") for line in lines) if divider}

    def is_replica(self, node):
        return bool(self.slave_status(node))

    def status(self):
        """A dictionary for each node."""
        found = []
        for k in self.nodes():
            one = {"node": k, "port": self.port_of(k), "pid": self.pid(k), "role": "-", "state": "down", "gtid": "-", "lag_s": "-", "delay_s": "-", "sql": "-"}
            found.append(one)
            if not one["pid"]:
                continue
            one["state"] = "frozen" if self.frozen(k) else "up" if self.answers(k) else "starting"
            if one["state"] == "up":
                slave = self.slave_status(k)
                one.update(role="replica" if slave else "primary", gtid=self.root(k, "select @@gtid_current_pos").strip())
                if slave:
                    one.update(lag_s=slave["Seconds_Behind_Master"], delay_s=slave["SQL_Delay"], sql=slave["Slave_SQL_Running"])
        return found

    # The whole of it.
    def up(self):
        """Makes the cluster, or starts what is stopped."""
        os.makedirs(self.folder, exist_ok=True)
        if self.account:
            os.chmod(self.folder, 0o755)
            os.chown(self.folder, pwd.getpwnam(self.account).pw_uid, -1)
        self._save()
        fresh = [k for k in self.nodes() if not os.path.isdir(os.path.join(self._node(k), "data", "mysql"))]
        if fresh:
            self._make_template()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda k: self._make(k) if k in fresh else self.start(k), self.nodes()))
        if 0 in fresh:
            self.root(0, ACCOUNTS)
        for k in fresh:
            if k != self.primary:
                self._follow(k)

    def down(self):
        for k in sorted(self.nodes(), key=lambda k: k == self.primary):
            self.stop(k)

    def destroy(self):
        for k in self.nodes():
            self.kill(k)
        for k in self.nodes():
            shutil.rmtree(self._node(k), ignore_errors=True)
            for end in (".log", ".cnf"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._node(k) + end)
        shutil.rmtree(os.path.join(self.folder, "template"), ignore_errors=True)
        for name in ("cluster.json", "install.log"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, name))

    def sync(self, seconds=30):
        """Waits until every live replica has applied what the primary has."""
        gtid = self.root(self.primary, "select @@gtid_current_pos").strip()
        for k in self.live_replicas():
            wait_until(lambda k=k: self._applied(k, gtid), f"replica {k} reaches {gtid}", seconds)

    # One node.
    def start(self, node):
        """In its old role."""
        if self.pid(node):
            return
        if not os.path.isdir(os.path.join(self._node(node), "data", "mysql")):
            raise ClusterError(f"node {node} has no data: run up, or rejoin {node}")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._node(node), "server.pid"))
        server = self._spawn(["mariadbd", f"--defaults-file={self._node(node)}.cnf"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: server.poll() is not None or self.answers(node), f"node {node} answers; see {self._node(node)}.log")
        if server.poll() is not None:
            raise ClusterError(f"node {node} ended as it started; see {self._node(node)}.log")

    def stop(self, node):
        self._end(node, signal.SIGTERM)

    def kill(self, node):
        self._end(node, signal.SIGKILL)

    def freeze(self, node):
        os.kill(self.pid(node), signal.SIGSTOP)
        wait_until(lambda: self.frozen(node), f"node {node} stands still")

    def thaw(self, node):
        os.kill(self.pid(node), signal.SIGCONT)

    def promote(self, node):
        """Makes a replica the primary, once it has applied what it received; live replicas follow it. The old primary is left as it is."""
        self.root(node, "stop slave; change master to master_delay=0; start slave sql_thread")
        received = self.slave_status(node)["Gtid_IO_Pos"]
        wait_until(lambda: not received or self._applied(node, received), f"replica {node} has applied {received}", 30)
        followers = [k for k in self.live_replicas() if k != node]
        self.root(node, "stop slave; reset slave all; set global read_only=0")
        self.primary = node
        self._save()
        self._configure(node)
        for k in followers:
            self._follow(k)

    def rejoin(self, node):
        """Throws the node's data away and replicates everything anew."""
        if node == self.primary:
            raise ClusterError(f"node {node} is the primary")
        self.kill(node)
        self.lives[str(node)] = self.lives.get(str(node), 0) + 1  # a replica ignores events that carry its own server-id
        self._save()
        self._make(node)
        self._follow(node)

    def lag(self, node, milliseconds):
        """MariaDB counts whole seconds: rounded up."""
        self.root(node, f"stop slave; change master to master_delay={math.ceil(milliseconds / 1000)}; start slave")

    def pause(self, node):
        self.root(node, "stop slave sql_thread")

    def resume(self, node):
        self.root(node, "start slave sql_thread")

    def _node(self, node):
        return os.path.join(self.folder, f"node{node}")

    def _save(self):
        with open(self._state, "w") as f:
            json.dump({name: getattr(self, name) for name in ("port", "replicas", "fsync", "primary", "lives")}, f)

    def _spawn(self, command, **more):
        environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin", LC_ALL="C")
        if self.account:
            more.update(user=self.account, group=pwd.getpwnam(self.account).pw_gid, extra_groups=[])
        return subprocess.Popen(command, cwd=self.folder, env=environment, start_new_session=True, **more)

    def _run(self, command):
        with self._spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            output = process.communicate()[0]
        if process.returncode:
            raise ClusterError(f"{command[0]} failed: {output.strip()[-2000:]}")
        return output

    def _client(self, node, *arguments):
        return self._run(["mariadb", "--no-defaults", "--protocol=tcp", "--connect-timeout=3", "-h", "127.0.0.1", "-P", str(self.port_of(node)), "--batch", *arguments])

    def _make_template(self):
        """An empty data directory, of which every node has a copy."""
        template = os.path.join(self.folder, "template")
        if not os.path.isdir(os.path.join(template, "mysql")):
            self._run(["rm", "-rf", template])
            self._run(["mariadb-install-db", "--no-defaults", f"--datadir={template}", "--skip-test-db", "--auth-root-authentication-method=normal",
                       "--innodb-log-file-size=32M"])

    def _make(self, node):
        self._run(["rm", "-rf", self._node(node)])
        self._run(["mkdir", self._node(node)])
        self._run(["cp", "-a", os.path.join(self.folder, "template"), os.path.join(self._node(node), "data")])
        self._configure(node)
        self.start(node)

    def _configure(self, node):
        path = os.path.join(self._node(node), "sock")
        if len(path) > 100:  # sockaddr_un holds 107 characters
            path = os.path.join(tempfile.gettempdir(), f"mariadb-{self.port_of(node)}.sock")
        text = CONFIGURATION.format(node=self._node(node), socket=path, port=self.port_of(node), read_only=int(node != self.primary),
                                    server_id=self.port_of(node) + 100000 * self.lives.get(str(node), 0))
        with open(self._node(node) + ".cnf", "w") as f:
            f.write(text + (DURABLE if self.fsync else FAST))

    def _follow(self, node):
        self.root(node, f"""stop slave; change master to master_host='127.0.0.1', master_port={self.port_of(self.primary)}, master_user='root',
                            master_connect_retry=1, master_use_gtid=slave_pos; set global read_only=1; start slave""")
        self._configure(node)

    def _applied(self, node, gtid):
        return self.root(node, f"select master_gtid_wait('{gtid}', 0)").strip() == "0"

    def _end(self, node, how):
        pid = self.pid(node)
        if pid:
            os.kill(pid, how)
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: self.pid(node) != pid, f"node {node} has ended")


def main():
    parser = argparse.ArgumentParser(prog="mariadb", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog="""commands:
  up | down | destroy | status      up makes the cluster, or starts what is stopped; down keeps the data
  dsn K | sql K TEXT                how to reach node K; a statement as the account app
  sync [SECONDS]                    wait until every live replica has applied what the primary has
  stop K | kill K | start K         a clean end, a crash, a start in the old role
  freeze K | thaw K                 a server that hangs with its port open
  promote K | rejoin K              K becomes primary; K is made anew as a replica
  lag K MS | pause K | resume K     delay, stop, or start again what K applies""")
    parser.add_argument("--dir", required=True, help="everything lives below it")
    parser.add_argument("--port", type=int, help="node K listens on PORT+K (when the cluster is made; default: free ones)")
    parser.add_argument("--replicas", type=int, default=2, help="(when the cluster is made)")
    parser.add_argument("--fsync", choices=("on", "off"), default="on", help="off: faster, not crash-safe (when the cluster is made)")
    parser.add_argument("command", choices=("up", "down", "destroy", "status", "dsn", "sql", "sync", "stop", "kill", "start", "freeze", "thaw", "promote", "rejoin",
                                            "lag", "pause", "resume"), metavar="COMMAND")
    parser.add_argument("arguments", nargs="*", metavar="ARG")
    chosen = parser.parse_args()
    cluster = MariaDB(chosen.dir, chosen.replicas, chosen.port, chosen.fsync == "on")
    arguments = [int(a) if a.isdigit() else a for a in chosen.arguments]
    try:
        if arguments and chosen.command != "sync" and arguments[0] not in cluster.nodes():
            raise ClusterError(f"no node {arguments[0]}: there are 0 to {cluster.replicas}")
        answer = getattr(cluster, chosen.command)(*arguments)
    except (ClusterError, TypeError) as problem:
        sys.exit(f"mariadb {chosen.command}: {problem}")
    if chosen.command == "status":
        print("\n".join("  ".join(f"{name}={value}" for name, value in one.items()) for one in answer))
    elif answer is not None:
        print(answer, end="" if str(answer).endswith("\n") else "\n")
