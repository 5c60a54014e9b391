"""Who may call what: logins and roles, on each wire."""

import os
import signal
import subprocess
import tempfile
import time
import unittest
import xmlrpc.client

from access_cases import CONFIG, PASSWORD, as_user, basic, post, setUpModule, tearDownModule, user, world  # noqa: F401
from cases import DENIED, CodeCase
from gateway import SLUICE, Gateway, free_port, wait_for
from zerorpc_client import Client, RemoteError


class Logins(CodeCase):
    def test_a_password_in_the_url_as_xmlrpc_client_sends_it(self):
        with xmlrpc.client.ServerProxy(world.gateway.url.replace("://", f"://ann:{PASSWORD.replace(' ', '%20')}@")) as server:
            self.assertEqual(server.add(3, 4), 7)

    def test_a_token_in_a_header(self):
        self.assertEqual(as_user("all").add(3, 4), 7)

    def test_a_token_in_the_place_of_a_password(self):
        with xmlrpc.client.ServerProxy(world.gateway.url.replace("://", f"://all:{world.tokens['all']}@")) as server:
            self.assertEqual(server.add(3, 4), 7)
        with open(f"{world.folder}/token", "w") as f:
            f.write(world.tokens["all"] + "\n")
        called = subprocess.run([SLUICE, "call", "--password-file", f.name, world.gateway.url.replace("://", "://all@"), "add", "3", "4"], capture_output=True, text=True, timeout=60)
        self.assertEqual((called.stdout, called.returncode), ("7\n", 0), called.stderr)

    def test_the_second_call_with_a_password_is_not_hashed_again(self):
        post(basic("ann", PASSWORD))
        started = time.monotonic()
        for _ in range(20):
            self.assertEqual(post(basic("ann", PASSWORD))[0], 200)
        self.assertLess(time.monotonic() - started, 1.0)

    def test_nothing_of_a_password_is_stored(self):
        with open(f"{world.folder}/users") as f:
            stored = f.read()
        self.assertNotIn(PASSWORD, stored)
        for token in world.tokens.values():
            self.assertNotIn(token, stored)
        self.assertIn("$argon2id$", stored)
        self.assertEqual(os.stat(f"{world.folder}/users").st_mode & 0o777, 0o600)

    def test_malformed_headers_are_refused(self):
        # By another gateway: each of them is a failure, and this address would have to wait.
        with Gateway(config=CONFIG.format(folder=world.folder)) as other:
            for header in ["Basic !!!", "Digest x", "Basic " + "A" * 9000, basic("ann", "wrong"), basic("ann", world.tokens["all"])]:
                status, headers = post(header, other.url)
                self.assertEqual(status, 401, header[:20])
                self.assertIn('Basic realm="sluice"', headers.get_all("WWW-Authenticate")[0])

    def test_who_fails_must_wait_longer_each_time_but_a_token_need_not(self):
        with Gateway(config=CONFIG.format(folder=world.folder)) as other:
            statuses = [post(basic("ann", f"wrong {n}"), other.url)[0] for n in range(6)]
            self.assertEqual(statuses, [401] * 6)
            status, headers = post(basic("ann", PASSWORD), other.url)
            self.assertEqual(status, 429)
            self.assertGreaterEqual(int(headers["Retry-After"]), 1)
            self.assertEqual(post("Bearer " + world.tokens["all"], other.url)[0], 200)
            wait_for(lambda: post(basic("ann", PASSWORD), other.url)[0] == 200, "the wait to be over")


class Roles(CodeCase):
    def test_every_method_is_denied_to_a_caller_without_the_right(self):
        methods = as_user("all").system.listMethods()
        self.assertGreater(len(methods), 30)
        server, multicall = as_user("nothing"), as_user("only_multicall")
        with Client(world.gateway.endpoint) as zerorpc:
            for name in methods:
                with self.subTest(method=name):
                    self.fault(DENIED, getattr(server, name))
                    with self.assertRaises(RemoteError) as caught:
                        zerorpc(name)
                    self.assertEqual(caught.exception.name, "PermissionError")
                    if name != "system.multicall":
                        [answer] = multicall.system.multicall([{"methodName": name, "params": []}])
                        self.assertEqual(answer["faultCode"], DENIED)

    def test_introspection_shows_what_one_may_call(self):
        listed = as_user("named").system.listMethods()
        self.assertIn("city.count", listed)
        self.assertNotIn("add", listed)
        self.assertNotIn("sql.query", listed)
        self.assertFalse(as_user("named").system.methodExist("add"))
        self.fault(-32601, as_user("named").system.methodHelp, "add")
        with Client(world.gateway.endpoint) as zerorpc:
            self.assertEqual(zerorpc._zerorpc_list(), [])
            self.assertEqual(zerorpc._zerorpc_inspect()["methods"], {})

    def test_a_reader_changes_nothing(self):
        server = as_user("reader")
        self.assertEqual(server.sql.query("SELECT 1")["rows"], [[1]])
        insert = "INSERT INTO city VALUES ('Oslo') RETURNING name"
        for call in (server.sql.query, server.sql.execute, server.sql.open, server.sql.stream):
            self.fault(DENIED, call, insert)
        self.fault(DENIED, server.sql.batch, [[insert, []]])
        self.fault(DENIED, server.sql.begin)
        self.fault(DENIED, server.sql.split, False)
        self.assertEqual(as_user("all").sql.query("SELECT count(*) FROM city WHERE name = 'Oslo'")["rows"], [[0]])
        self.assertEqual(server.sql.stream("SELECT 1 UNION SELECT 2"), [[1], [2]])
        cursor = server.sql.open("SELECT 1")
        self.assertEqual(server.sql.fetch(cursor)["rows"], [[1]])

    def test_a_caller_of_named_statements_runs_no_others(self):
        server = as_user("named")
        self.assertEqual(len(server.city.count()["rows"]), 1)
        for call in (server.sql.query, server.sql.execute, server.sql.open, server.sql.stream, server.sql.explain):
            self.fault(DENIED, call, "SELECT 1")

    def test_a_database_that_is_not_ones_own(self):
        self.assertIn("'main'", self.fault(DENIED, as_user("elsewhere").sql.query, "SELECT 1"))


class SluiceCall(unittest.TestCase):
    def setUp(self):
        # A gateway of its own: failures make this address wait.
        self.gateway = self.enterContext(Gateway(config=CONFIG.format(folder=world.folder)))

    def call(self, login, *options, to=None):
        url = (to or self.gateway.url).replace("://", f"://{login}@" if login else "://")
        done = subprocess.run([SLUICE, "call", "--timeout", "20", *options, url, "add", "3", "4"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    def password_file(self, text):
        path = f"{self.gateway.folder.name}/password"
        with open(path, "w") as f:
            f.write(text)
        return "--password-file", path

    def test_a_password_in_the_url(self):
        self.assertEqual(user("add", "a@b", "--role", "all", "--users", f"{world.folder}/users", stdin="p:w/%41 é@\n").returncode, 0)
        self.gateway.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.call("ann:correct%20horse"), (0, "7\n", ""))
        wait_for(lambda: self.call("a%40b:p:w%2F%2541%20é@")[0] == 0, "the new user")

    def test_a_password_in_a_file(self):
        self.assertEqual(self.call("ann", *self.password_file(PASSWORD + "\n")), (0, "7\n", ""))
        for login, text, words in [("", PASSWORD, "expected http://NAME@HOST:PORT"), ("ann:pass", PASSWORD, "one of them is expected"),
                                   ("ann", "", "nothing on its first line")]:
            code, out, err = self.call(login, *self.password_file(text))
            self.assertEqual((code, out), (2, ""), err)
            self.assertIn(words, err)
        self.assertIn("cannot be read", self.call("ann", "--password-file", "/nowhere")[2])

    def test_a_refused_login_is_told_as_one(self):
        code, out, err = self.call("ann:wrong%20horse")
        self.assertEqual((code, out), (1, ""))
        self.assertEqual(err, f"{self.gateway.url} refused the login of 'ann' (HTTP 401): the name or the password is wrong\n")
        code, out, err = self.call("ann")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("refused the login of 'ann'", err)

    def test_who_failed_too_often_is_told_to_wait(self):
        for n in range(6):
            self.assertEqual(post(basic("ann", f"wrong {n}"), self.gateway.url)[0], 401)
        code, out, err = self.call("ann:correct%20horse")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("takes no login now", err)

    def test_who_shows_nothing_is_asked_who_he_is(self):
        with tempfile.TemporaryDirectory() as place:
            with open(f"{place}/users", "w") as f:
                f.write("")
            with Gateway(config=f'[access]\nusers = "{place}/users"\n[role.all]\nmethods = ["*"]\n') as strict:
                code, out, err = self.call("", to=strict.url)
        self.assertEqual((code, out), (1, ""), err)
        self.assertIn("does not know who calls (HTTP 401): say http://NAME@HOST:PORT with --password-file FILE", err)

    def test_no_message_shows_the_password(self):
        closed = free_port()
        for url, wanted in [(f"http://127.0.0.1:{closed}", 3), (f"https://127.0.0.1:{closed}", 3), (self.gateway.url, 1), (self.gateway.url + "/x@y:z", None),
                            (self.gateway.endpoint, 2), ("curve+" + self.gateway.endpoint, 2), ("ftp://127.0.0.1", 2)]:
            for password in ("hidden", "hid/hidden", "hid@hidden", "%68idden"):
                code, out, err = self.call("ann:" + password, to=url)
                self.assertNotEqual(code, 0)
                self.assertNotRegex(out + err, "hidden|hid@|hid/|idden", url)
                if wanted and "/" not in password:
                    self.assertEqual(code, wanted, err)


if __name__ == "__main__":
    unittest.main()
