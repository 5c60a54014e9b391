"""Redis masters that know nothing of each other, as Redlock wants them."""

import contextlib
import pathlib
import shutil
import socket

from clusters import Problem
from servers import COMMANDS as COMMON
from servers import PlainServers

COMMANDS = {**COMMON, "do": ("do", "NODE WORD...: run a command of Redis")}

CONFIGURATION = """bind 127.0.0.1
port {port}
dir "{folder}"
save ""
daemonize no
maxmemory-policy noeviction
"""
DURABLE = "appendonly yes\nappendfsync always\n"
FORGETFUL = "appendonly no\n"


class Redis(PlainServers):
    """Redis masters on 127.0.0.1. Without fsync they keep nothing on disk: a crash loses all."""

    def __init__(self, folder=None, replicas=0, port=None, fsync=True, settings=""):
        super().__init__(folder, replicas, port, fsync)
        self.settings = settings
        if not shutil.which("redis-server"):
            raise Problem("redis-server is not installed (Debian package redis-server)")

    def configure(self, node):
        text = CONFIGURATION.format(port=self.node_port(node), folder=self.node_folder(node)) + (DURABLE if self.fsync else FORGETFUL)
        pathlib.Path(f"{self.node_folder(node)}.conf").write_text(text + self.settings)

    def command(self, node):
        return "redis-server", f"{self.node_folder(node)}.conf"

    def answers(self, node):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.node_port(node)), 1) as s:
            s.settimeout(1)
            s.sendall(b"PING\r\n")
            return s.recv(64) == b"+PONG\r\n"
        return False

    def do(self, node, *words):
        return self.run("redis-cli", "-h", "127.0.0.1", "-p", self.node_port(node), *words).strip()

    def describe(self, node):
        return f"{self.do(node, 'dbsize')} keys"
