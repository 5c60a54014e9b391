"""What a caller has open ends when a reload takes his login or his right to it away, and nobody else's does."""

import signal
import subprocess
import tempfile
import threading
import unittest
import xmlrpc.client

from cases import DENIED, UNAUTHENTICATED, CodeCase
from gateway import SLUICE, Gateway, free_port, wait_for

CONFIG = """
[access]
users = "{folder}/users"
audit = "{folder}/audit.log"
[zerorpc]
listen = "curve+tcp://127.0.0.1:{port}"
curve_keys = "{folder}/keys"
[role.app]
methods = ["*"]
statements = "write"
"""
ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 2000000000) SELECT {what} FROM c"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Revocation(CodeCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-revocation-"))
        self.port = free_port()
        self.server_key = run(SLUICE, "keygen", f"{self.folder}/keys")
        self.tokens = {}
        for name in ("ann", "bob"):
            key = run(SLUICE, "keygen", f"{self.folder}/{name}.keys")
            run(SLUICE, "user", "add", name, "--role", "app", "--key", key, "--users", f"{self.folder}/users")
            self.tokens[name] = run(SLUICE, "user", "add", name, "--role", "app", "--token", "--users", f"{self.folder}/users")
        self.config = CONFIG.format(folder=self.folder, port=self.port)
        self.gateway = Gateway("--zerorpc", f"curve+tcp://127.0.0.1:{self.port}", config=self.config)
        self.addCleanup(self.gateway.stop)
        self.told = []
        reader = threading.Thread(target=lambda: self.told.extend(iter(self.gateway.process.stderr.readline, "")))
        reader.start()
        self.addCleanup(reader.join)
        self.addCleanup(self.gateway.terminate)

    def server(self, name):
        return xmlrpc.client.ServerProxy(self.gateway.url, headers=[("Authorization", "Bearer " + self.tokens[name])], allow_none=True)

    def reload(self, config=None):
        if config:
            with open(f"{self.gateway.folder.name}/sluice.toml", "w") as f:
                f.write(config)
        told = len(self.told)
        self.gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any("reloaded" in line for line in self.told[told:]), "the reload")

    def remove(self, name):
        run(SLUICE, "user", "remove", name, "--users", f"{self.folder}/users")
        self.reload()

    def stream(self, name, *call):
        """A stream over zerorpc, as a process: its lines are the items."""
        started = subprocess.Popen([SLUICE, "call", "--server-key", self.server_key, "--curve-keys", f"{self.folder}/{name}.keys", f"tcp://127.0.0.1:{self.port}", *call],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            started.kill()
            started.communicate()
        self.addCleanup(end)
        return started

    def ended(self, stream, words):
        _, err = stream.communicate(timeout=30)
        self.assertEqual(stream.returncode, 1)
        self.assertIn(words, err)

    def test_streams_of_a_user_who_was_removed_end_and_those_of_others_go_on(self):
        rows = ENDLESS.format(what="n")
        anns, bobs = self.stream("ann", "sql.stream", rows), self.stream("bob", "sql.stream", rows)
        self.assertEqual((anns.stdout.readline(), bobs.stdout.readline()), ("[1]\n", "[1]\n"))
        self.remove("ann")
        self.ended(anns, "PermissionError: the login of ann was removed or replaced; what he had open ends")
        for n in range(2, 100_000):
            self.assertEqual(bobs.stdout.readline(), f"[{n}]\n")
        with open(f"{self.folder}/audit.log") as f:
            self.assertIn('"method":"sql.stream","over":"zerorpc","outcome":"unauthenticated"', f.read())

    def test_a_stream_that_waits_for_news_ends_at_once(self):
        ann = self.server("ann")
        session = ann.lock.open_session()["session"]
        ann.lock.acquire("door", {"session": session})
        watched = self.stream("ann", "lock.watch", session)
        self.server("bob").lock.force_release("door", "to have news")
        self.assertIn('"name":"door"', watched.stdout.readline())
        self.remove("ann")
        self.ended(watched, "PermissionError: the login of ann was removed")

    def test_a_stream_that_is_gathered_for_xml_rpc_ends_too(self):
        outcome = []

        def gather():
            try:
                self.server("ann").sql.stream(ENDLESS.format(what="max(n)"))
            except xmlrpc.client.Fault as fault:
                outcome.append((fault.faultCode, fault.faultString))
        caller = threading.Thread(target=gather)
        caller.start()
        wait_for(lambda: self.server("bob").sql.topology()["nodes"][1]["open_cursors"] == 1, "the stream to run")
        self.remove("ann")
        caller.join(30)
        self.assertEqual(outcome[0][0], UNAUTHENTICATED)
        wait_for(lambda: self.server("bob").sql.topology()["nodes"][1]["open_cursors"] == 0, "its statement to be stopped")

    def test_a_stream_whose_method_or_databases_are_no_more_the_users(self):
        for change, words in (('methods = ["sql.query"]', "ann may no more call sql.stream"), ('methods = ["*"]\ndatabases = ["archive"]', "the databases that ann may use have changed")):
            self.reload(self.config)
            anns = self.stream("ann", "sql.stream", ENDLESS.format(what="n"))
            self.assertEqual(anns.stdout.readline(), "[1]\n")
            self.reload(self.config.replace('methods = ["*"]', change))
            self.ended(anns, words)

    def test_cursors_and_transactions(self):
        ann = self.server("ann")
        ann.sql.execute("CREATE TABLE t(x)")
        cursor, tx = ann.sql.open(ENDLESS.format(what="n")), ann.sql.begin()
        ann.sql.execute("INSERT INTO t VALUES (1)", [], {"tx": tx})
        self.assertEqual(ann.sql.fetch(cursor, 1)["rows"], [[1]])
        self.reload(self.config.replace('methods = ["*"]', 'methods = ["*"]\ndatabases = ["archive"]'))
        self.assertIn("may not use the database 'main'", self.fault(DENIED, ann.sql.fetch, cursor))
        self.assertIn("may not use the database 'main'", self.fault(DENIED, ann.sql.commit, tx))
        self.reload(self.config.replace('statements = "write"', 'statements = "named"'))
        self.fault(DENIED, ann.sql.fetch, cursor)
        self.fault(DENIED, ann.sql.commit, tx)
        self.reload(self.config)
        self.assertEqual(ann.sql.fetch(cursor, 1)["rows"], [[2]])  # it was kept for its owner, as long as an unused one is
        self.remove("ann")
        for call, handle in ((ann.sql.fetch, cursor), (ann.sql.commit, tx)):
            with self.assertRaises(xmlrpc.client.ProtocolError) as caught:
                call(handle)
            self.assertEqual(caught.exception.errcode, 401)
        self.assertEqual(self.server("bob").sql.query("SELECT count(*) FROM t")["rows"], [[0]])


if __name__ == "__main__":
    unittest.main()
