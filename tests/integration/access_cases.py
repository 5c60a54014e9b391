"""A gateway that asks who calls, and a user of each of its roles: what the tests of access share.

A test file imports what it needs, setUpModule and tearDownModule among it.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
from gateway import SLUICE, Gateway  # noqa: E402

PASSWORD = "correct horse"

CONFIG = """
[access]
users = "{folder}/users"
audit = "{folder}/audit.log"
anonymous = ["nothing"]

[sql]
statements = "{folder}/statements"

[role.nothing]
[role.all]
methods = ["*"]
statements = "write"
[role.reader]
methods = ["sql.*", "system.*"]
statements = "read"
[role.named]
methods = ["sql.*", "city.*", "system.*"]
[role.elsewhere]
methods = ["sql.*"]
statements = "write"
databases = ["archive*"]
[role.elsewhere_named]
methods = ["city.*"]
databases = ["archive*"]
[role.one_a_second]
methods = ["add", "system.multicall"]
calls_per_s = 1
[role.few]
methods = ["*"]
statements = "write"
in_flight = 1
answer_rows = 3
answer_bytes = 2000
call_ms = 300
[role.only_multicall]
methods = ["system.multicall"]
"""
ROLES = ["all", "reader", "named", "elsewhere", "elsewhere_named", "one_a_second", "few", "only_multicall", "nothing"]


def user(*arguments, stdin=""):
    return subprocess.run([SLUICE, "user", *arguments], input=stdin, capture_output=True, text=True, timeout=60)


class World:
    """Made by setUpModule: a folder with users and statements, a token of a user of each role by that role's name, and a gateway."""

    folder, tokens, gateway = None, None, None


world = World()


def setUpModule():
    world.folder = unittest.enterModuleContext(tempfile.TemporaryDirectory(prefix="sluice-access-"))
    os.mkdir(f"{world.folder}/statements")
    with open(f"{world.folder}/statements/city.sql", "w") as f:
        f.write("-- name: city.count\n-- read\n-- Counts.\nSELECT count(*) FROM sqlite_master\n")
    users = f"{world.folder}/users"
    world.tokens = {}
    for role in ROLES:
        made = user("add", role, "--role", role, "--token", "--users", users)
        assert made.returncode == 0, made.stderr
        world.tokens[role] = made.stdout.strip()
    assert user("add", "ann", "--role", "all", "--users", users, stdin=PASSWORD + "\n").returncode == 0
    world.gateway = Gateway(config=CONFIG.format(folder=world.folder))
    as_user("all").sql.execute("CREATE TABLE city(name)")


def tearDownModule():
    assert world.gateway.stop() == 0


def as_user(role):
    return xmlrpc.client.ServerProxy(world.gateway.url, headers=[("Authorization", "Bearer " + world.tokens[role])])


def post(authorization=None, gateway_url=None):
    """The status and headers of a call of add."""
    request = urllib.request.Request(gateway_url or world.gateway.url, xmlrpc.client.dumps((3, 4), "add").encode(), {"Content-Type": "text/xml"})
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code, refused.headers


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def audit():
    with open(f"{world.folder}/audit.log") as f:
        return [json.loads(line) for line in f]
