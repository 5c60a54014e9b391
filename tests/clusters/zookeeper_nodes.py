"""A ZooKeeper ensemble, or a single server."""

import contextlib
import pathlib
import shutil
import socket

from clusters import Problem, wait_for
from servers import COMMANDS as COMMON
from servers import PlainServers

COMMANDS = {**COMMON, "leader": ("leader", "which node leads")}

JARS = ("/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar")

CONFIGURATION = """tickTime={tick_ms}
initLimit=20
syncLimit=10
dataDir={folder}/data
clientPort={port}
clientPortAddress=127.0.0.1
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=ruok,srvr,mntr
extendedTypesEnabled=true
forceSync={fsync}
preAllocSize=4096
"""


class ZooKeeper(PlainServers):
    """A ZooKeeper ensemble on 127.0.0.1. Its sessions last between 2 and 20 ticks."""

    state_names = (*PlainServers.state_names, "tick_ms")

    def __init__(self, folder=None, replicas=2, port=None, fsync=True, tick_ms=500):
        self.tick_ms = tick_ms
        super().__init__(folder, replicas, port, fsync)
        if not pathlib.Path(JARS[0]).exists() or not shutil.which("java"):
            raise Problem(f"{JARS[0]} or java is not installed (Debian package zookeeper)")

    def ports_needed(self):
        return 3 * self.nodes  # for clients, for followers, for elections

    def configure(self, node):
        folder = self.node_folder(node)
        self.run("mkdir", "-p", folder / "data")
        (folder / "data" / "myid").write_text(str(node + 1))
        text = CONFIGURATION.format(tick_ms=self.tick_ms, folder=folder, port=self.node_port(node), fsync="yes" if self.fsync else "no")
        if self.nodes > 1:
            text += "".join(f"server.{n + 1}=127.0.0.1:{self.port + self.nodes + 2 * n}:{self.port + self.nodes + 2 * n + 1}\n" for n in range(self.nodes))
        pathlib.Path(f"{folder}.cfg").write_text(text)

    def command(self, node):
        return ("java", "-Xmx64m", "-Xms64m", "-XX:+UseSerialGC", "-Djava.net.preferIPv4Stack=true", "-Dzookeeper.jmx.log4j.disable=true",
                f"-Dzookeeper.forceSync={'yes' if self.fsync else 'no'}", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", ":".join(JARS),
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", f"{self.node_folder(node)}.cfg")

    def ask(self, node, word):
        """A four-letter word."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.node_port(node)), 2) as s:
            s.settimeout(2)
            s.sendall(word.encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()
        return ""

    def mode(self, node):
        return next((line.removeprefix("Mode: ") for line in self.ask(node, "srvr").splitlines() if line.startswith("Mode: ")), None)

    def answers(self, node):
        return self.mode(node) is not None

    def describe(self, node):
        return self.mode(node)

    def leader(self):
        def find():
            return [n for n in range(self.nodes) if self.pid(n) and not self.frozen(n) and self.mode(n) in ("leader", "standalone")]

        wait_for(find, "a leader")
        return find()[0]
