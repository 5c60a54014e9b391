"""Every example, run as its README says, and what it prints."""

import os
import subprocess
import sys
import tempfile
import unittest
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

from gateway import Gateway, free_port  # noqa: E402
from redis_masters import Redis  # noqa: E402
from zookeeper_nodes import ZooKeeper  # noqa: E402

SOURCE, BUILD = os.environ["SLUICE_SOURCE"], os.environ["SLUICE_BUILD"]
EXAMPLES = os.path.join(SOURCE, "examples")
NODE_PATH = os.path.join(SOURCE, "tests/integration/node/node_modules")


def setUpModule():
    global gateway
    gateway = Gateway(probe=False)


def tearDownModule():
    assert gateway.stop() == 0


def printed(*command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ, **environment))
    if done.returncode:
        raise AssertionError(f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.splitlines()


class Examples(unittest.TestCase):
    def python(self, name, *arguments):
        return printed(sys.executable, os.path.join(EXAMPLES, name), *arguments)

    def test_python_xmlrpc(self):
        self.assertEqual(self.python("1_hello/python_xmlrpc.py", gateway.url), ["7", "ZeroDivisionError: division by zero"])

    def test_python_zerorpc(self):
        self.assertEqual(self.python("1_hello/python_zerorpc.py", gateway.endpoint), ["165", "[1]", "[2]"])

    def test_node_zerorpc(self):
        lines = printed("node", "--no-deprecation", os.path.join(EXAMPLES, "1_hello/node_zerorpc.js"), gateway.endpoint, NODE_PATH=NODE_PATH)
        self.assertEqual(lines, ["165", "ZeroDivisionError: division by zero", "[ 1 ]", "[ 2 ]"])

    def test_cpp_xmlrpc(self):
        self.assertEqual(printed(os.path.join(BUILD, "cpp_xmlrpc"), gateway.url), ["7"])

    def test_cpp_zerorpc(self):
        self.assertEqual(printed(os.path.join(BUILD, "cpp_zerorpc"), gateway.endpoint), ["OK 165"])

    def test_read_write(self):
        lines = self.python("2_read_write/read_write.py", gateway.url)
        self.assertEqual(lines[0], "Sines       28.0 m")
        self.assertIn("write: primary | read: replica because SQLite says that it only reads", lines)
        self.assertIn("split off: primary", lines)

    def test_locks(self):
        sold = ["bought: 10, sold out: 40, no lock: 0", "left: 0, sales: 10"]
        with Redis(replicas=2, fsync=False) as redis, ZooKeeper(replicas=0, fsync=False) as zookeeper:
            spaces = {"embedded": "sqlite", "redis": f"redis://{redis.hosts([0])}/1", "redlock": f"redlock://{redis.hosts()}", "zookeeper": f"zookeeper://{zookeeper.hosts()}/shop"}
            config = f"[lock]\nspaces = {[f'{name}={backend}' for name, backend in spaces.items()]}\n"
            with Gateway(data=gateway.data, config=config) as second, Gateway(data=gateway.data, config=config) as third:
                self.assertEqual(self.python("3_locks/seckill.py", gateway.url, second.url), sold)
                for space in spaces:  # rows of a database server: test_lock_postgres.py, test_lock_mariadb.py
                    with self.subTest(space):
                        self.assertEqual(self.python("3_locks/seckill.py", "--db", space, second.url, third.url), sold)

    def test_ids(self):
        lines = self.python("4_ids/ids.py", gateway.url)
        self.assertEqual(lines[0], "rises: True")
        self.assertIn("batch: 1000 of main by worker 0", lines[1])
        self.assertEqual(lines[2:4], ["segment: 1000 1001 ['1002', '1003', '1004']", "uuid: 7 4 ulid: 26"])
        self.assertIn("none is configured: id.keys", lines[4])

    def test_read_write_over_a_cluster(self):
        lines = self.python("2_read_write/cluster.py", os.environ["SLUICE_BINARY"])
        self.assertEqual([line.split()[-5] for line in lines[1:6]], ["primary", "replica", "replica", "primary", "primary"])

    def test_own_handler(self):
        with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
            port = free_port()
            process = subprocess.Popen([os.path.join(BUILD, "own_handler"), f"127.0.0.1:{port}", f"{folder}/own.db"], stdout=subprocess.PIPE, text=True)
            try:
                self.assertIn("ready", process.stdout.readline())
                with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}") as g:
                    self.assertEqual(g.greet.hello("Ada"), "Hello, Ada!")
                    self.assertEqual(g.system.methodSignature("greet.hello"), [["string", "string"], ["string", "string", "string"]])
                    with self.assertRaisesRegex(xmlrpc.client.Fault, "ValueError: nobody is there"):
                        g.greet.crowd([])
            finally:
                process.terminate()
                self.assertEqual(process.wait(20), 0)
                process.stdout.close()


if __name__ == "__main__":
    unittest.main()
