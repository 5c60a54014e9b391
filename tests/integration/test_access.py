"""Who may call what: logins, roles, limits and the audit log, on each wire."""

import base64
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
from gateway import SLUICE, Gateway, free_port, wait_for
from zerorpc_client import Client, RemoteError

PASSWORD = "correct horse"
DENIED, OVERLOADED, TOO_LARGE, DEADLINE, NOT_FOUND = -32003, -32010, -32016, -32011, -32004

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


def setUpModule():
    global folder, gateway, tokens
    folder = tempfile.TemporaryDirectory(prefix="sluice-access-")
    os.mkdir(f"{folder.name}/statements")
    with open(f"{folder.name}/statements/city.sql", "w") as f:
        f.write("-- name: city.count\n-- read\n-- Counts.\nSELECT count(*) FROM sqlite_master\n")
    users = f"{folder.name}/users"
    tokens = {}
    for role in ROLES:
        made = user("add", role, "--role", role, "--token", "--users", users)
        assert made.returncode == 0, made.stderr
        tokens[role] = made.stdout.strip()
    assert user("add", "ann", "--role", "all", "--users", users, stdin=PASSWORD + "\n").returncode == 0
    gateway = Gateway(config=CONFIG.format(folder=folder.name))
    as_user("all").sql.execute("CREATE TABLE city(name)")


def tearDownModule():
    assert gateway.stop() == 0
    folder.cleanup()


def as_user(role):
    return xmlrpc.client.ServerProxy(gateway.url, headers=[("Authorization", "Bearer " + tokens[role])])


def post(authorization=None, gateway_url=None):
    """The status and headers of a call of add."""
    request = urllib.request.Request(gateway_url or gateway.url, xmlrpc.client.dumps((3, 4), "add").encode(), {"Content-Type": "text/xml"})
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
    with open(f"{folder.name}/audit.log") as f:
        return [json.loads(line) for line in f]


class Case(unittest.TestCase):
    def fault(self, code, call, *args):
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            call(*args)
        self.assertEqual(caught.exception.faultCode, code, caught.exception.faultString)
        return caught.exception.faultString


class Logins(Case):
    def test_a_password_in_the_url_as_xmlrpc_client_sends_it(self):
        with xmlrpc.client.ServerProxy(gateway.url.replace("://", f"://ann:{PASSWORD.replace(' ', '%20')}@")) as server:
            self.assertEqual(server.add(3, 4), 7)

    def test_a_token_in_a_header(self):
        self.assertEqual(as_user("all").add(3, 4), 7)

    def test_a_token_in_the_place_of_a_password(self):
        with xmlrpc.client.ServerProxy(gateway.url.replace("://", f"://all:{tokens['all']}@")) as server:
            self.assertEqual(server.add(3, 4), 7)
        with open(f"{folder.name}/token", "w") as f:
            f.write(tokens["all"] + "\n")
        called = subprocess.run([SLUICE, "call", "--password-file", f.name, gateway.url.replace("://", "://all@"), "add", "3", "4"], capture_output=True, text=True, timeout=60)
        self.assertEqual((called.stdout, called.returncode), ("7\n", 0), called.stderr)

    def test_the_second_call_with_a_password_is_not_hashed_again(self):
        post(basic("ann", PASSWORD))
        started = time.monotonic()
        for _ in range(20):
            self.assertEqual(post(basic("ann", PASSWORD))[0], 200)
        self.assertLess(time.monotonic() - started, 1.0)

    def test_nothing_of_a_password_is_stored(self):
        with open(f"{folder.name}/users") as f:
            stored = f.read()
        self.assertNotIn(PASSWORD, stored)
        for token in tokens.values():
            self.assertNotIn(token, stored)
        self.assertIn("$argon2id$", stored)
        self.assertEqual(os.stat(f"{folder.name}/users").st_mode & 0o777, 0o600)

    def test_malformed_headers_are_refused(self):
        # By another gateway: each of them is a failure, and this address would have to wait.
        with Gateway(config=CONFIG.format(folder=folder.name)) as other:
            for header in ["Basic !!!", "Digest x", "Basic " + "A" * 9000, basic("ann", "wrong"), basic("ann", tokens["all"])]:
                status, headers = post(header, other.url)
                self.assertEqual(status, 401, header[:20])
                self.assertIn('Basic realm="sluice"', headers.get_all("WWW-Authenticate")[0])

    def test_who_fails_must_wait_longer_each_time_but_a_token_need_not(self):
        with Gateway(config=CONFIG.format(folder=folder.name)) as other:
            statuses = [post(basic("ann", f"wrong {n}"), other.url)[0] for n in range(6)]
            self.assertEqual(statuses, [401] * 6)
            status, headers = post(basic("ann", PASSWORD), other.url)
            self.assertEqual(status, 429)
            self.assertGreaterEqual(int(headers["Retry-After"]), 1)
            self.assertEqual(post("Bearer " + tokens["all"], other.url)[0], 200)
            wait_for(lambda: post(basic("ann", PASSWORD), other.url)[0] == 200, "the wait to be over")


class Roles(Case):
    def test_every_method_is_denied_to_a_caller_without_the_right(self):
        methods = as_user("all").system.listMethods()
        self.assertGreater(len(methods), 30)
        server, multicall = as_user("nothing"), as_user("only_multicall")
        with Client(gateway.endpoint) as zerorpc:
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
        with Client(gateway.endpoint) as zerorpc:
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


class Limits(Case):
    def test_calls_a_second_also_inside_a_multicall(self):
        server = as_user("one_a_second")
        calls = [{"methodName": "add", "params": [1, 2]}] * 5
        answers = server.system.multicall(calls)
        self.assertEqual(answers[0], [3])
        self.assertEqual([answer["faultCode"] for answer in answers[1:]], [OVERLOADED] * 4)
        for answer in answers[1:]:
            self.assertRegex(answer["faultString"], r" \(retry_after_ms=1000\)$")
        wait_for(lambda: server.system.multicall(calls[:1]) == [[3]], "the second to be over")

    def test_rows_bytes_and_time(self):
        server = as_user("few")
        three = "SELECT 1 UNION SELECT 2 UNION SELECT 3"
        self.assertEqual(len(server.sql.query(three)["rows"]), 3)
        self.fault(TOO_LARGE, server.sql.query, three + " UNION SELECT 4")
        self.fault(TOO_LARGE, server.sql.stream, three + " UNION SELECT 4")
        self.fault(TOO_LARGE, server.echo, "x" * 5000)
        self.fault(DEADLINE, server.probe.sleep, 5000)

    def test_calls_in_flight(self):
        outcome = []

        def sleep():
            try:
                as_user("few").probe.sleep(5000)
            except xmlrpc.client.Fault as fault:
                outcome.append(fault.faultCode)
        busy = threading.Thread(target=sleep)
        busy.start()

        def refused():
            try:
                return as_user("few").add(1, 2) and False
            except xmlrpc.client.Fault as fault:
                return fault.faultCode == OVERLOADED
        wait_for(refused, "a call to be refused while another runs")
        busy.join()
        self.assertEqual(outcome, [DEADLINE])
        self.assertEqual(as_user("few").add(1, 2), 3)


LONG = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 200000000) SELECT max(n) FROM c"


class Shares(Case):
    def test_no_user_holds_more_than_half_of_the_cursors(self):
        with Gateway(config=CONFIG.format(folder=folder.name).replace("[sql]", "[sql]\ncursors = 3")) as gateway:
            all_, reader = (xmlrpc.client.ServerProxy(gateway.url, headers=[("Authorization", "Bearer " + tokens[who])]) for who in ("all", "reader"))
            with all_, reader:
                held = [all_.sql.open("SELECT 1") for _ in range(2)]
                self.fault(OVERLOADED, all_.sql.open, "SELECT 1")
                self.assertEqual(reader.sql.fetch(reader.sql.open("SELECT 1"))["rows"], [[1]])
                self.assertIs(all_.sql.close(held[0]), True)
                self.assertEqual(all_.sql.fetch(all_.sql.open("SELECT 2"))["rows"], [[2]])


class LimitsOfStreams(Case):
    """Of a caller over zerorpc, where a stream is answered long before it ends."""

    def setUp(self):
        self.gateway = Gateway(config=CONFIG.format(folder=folder.name).replace('anonymous = ["nothing"]', 'anonymous = ["few"]'))
        self.addCleanup(self.gateway.stop)
        self.server = xmlrpc.client.ServerProxy(self.gateway.url)
        self.addCleanup(self.server("close"))

    def stream(self, statement):
        """What came, and what ended it."""
        rows = []
        with Client(self.gateway.endpoint) as zerorpc:
            try:
                for row in zerorpc.stream("sql.stream", statement):
                    rows.append(row)
            except RemoteError as error:
                return rows, error.name
        return rows, None

    def open_cursors(self):
        with xmlrpc.client.ServerProxy(self.gateway.url, headers=[("Authorization", "Bearer " + tokens["all"])]) as owner:
            return owner.sql.topology()["nodes"][1]["open_cursors"]

    def test_time_and_calls_in_flight(self):
        ended = []
        started = time.monotonic()
        busy = threading.Thread(target=lambda: ended.append(self.stream(LONG)))
        busy.start()
        wait_for(lambda: self.open_cursors() == 1, "the stream to run")
        self.fault(OVERLOADED, self.server.add, 1, 2)
        busy.join()
        self.assertLess(time.monotonic() - started, 3)
        self.assertEqual(ended, [([], "TimeoutExpired")])
        wait_for(lambda: self.open_cursors() == 0, "the statement to be stopped")
        self.assertEqual(self.server.add(1, 2), 3)
        self.fault(DEADLINE, self.server.sql.stream, LONG)

    def test_rows_and_bytes(self):
        self.assertEqual(self.stream("SELECT 1 UNION SELECT 2 UNION SELECT 3"), ([[1], [2], [3]], None))
        self.assertEqual(self.stream("SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4"), ([[1], [2], [3]], "OverflowError"))
        rows, ended = self.stream("SELECT printf('%.*c', 900, 'x') UNION ALL SELECT printf('%.*c', 900, 'y') UNION ALL SELECT printf('%.*c', 900, 'z')")
        self.assertEqual((len(rows), ended), (2, "OverflowError"))
        self.assertEqual(self.server.add(1, 2), 3)  # each has left its place

    def test_a_stream_that_is_not_read_to_its_end_leaves_its_place(self):
        with Client(self.gateway.endpoint) as zerorpc:
            next(zerorpc.stream("sql.stream", "SELECT 1 UNION SELECT 2"))
        def admitted():
            try:
                return self.server.add(1, 2) == 3
            except xmlrpc.client.Fault as fault:
                self.assertEqual(fault.faultCode, OVERLOADED)
        wait_for(admitted, "the place of the stream")

    def test_a_fetch_that_is_out_of_time_ends_its_cursor(self):
        cursor = self.server.sql.open(LONG)
        self.fault(DEADLINE, self.server.sql.fetch, cursor)
        wait_for(lambda: self.open_cursors() == 0, "the statement to be stopped")
        self.fault(NOT_FOUND, self.server.sql.fetch, cursor)
        self.assertEqual(self.server.add(1, 2), 3)


class Audit(Case):
    def test_a_line_for_each_denial_whoever_denies(self):
        server = as_user("elsewhere_named")
        self.fault(DENIED, server.city.count)
        self.fault(DENIED, as_user("elsewhere").sql.topology)
        with Gateway(config=CONFIG.format(folder=folder.name).replace('anonymous = ["nothing"]', 'anonymous = ["reader"]')) as other, Client(other.endpoint) as zerorpc:
            with xmlrpc.client.ServerProxy(other.url, headers=[("Authorization", "Bearer " + tokens["all"])]) as owner:
                owner.sql.execute("CREATE VIRTUAL TABLE f USING fts4(word)")
                for word in ("one", "two"):
                    owner.sql.execute("INSERT INTO f VALUES (?)", [word])
            with self.assertRaises(RemoteError):
                list(zerorpc.stream("sql.stream", "SELECT optimize(f) FROM f LIMIT 1"))

        def line(user, method):
            return [one for one in audit() if (one["user"], one["method"], one["outcome"]) == (user, method, "denied")]
        wait_for(lambda: line("elsewhere_named", "city.count"), "the line of a named read of another's database")
        wait_for(lambda: line("elsewhere", "sql.topology"), "the line of another's topology")
        wait_for(lambda: line("anonymous", "sql.stream"), "the line of a stream that was denied on its way")

    def test_a_line_for_each_write_and_each_denial(self):
        as_user("all").sql.execute("INSERT INTO city VALUES (?)", ["line\nbreak"])
        self.fault(DENIED, as_user("reader").sql.execute, "DELETE FROM city")
        self.fault(DENIED, as_user("reader").sql.query, "DELETE FROM city")
        as_user("all").sql.query("INSERT INTO city VALUES ('by query')")

        def lines(**wanted):
            return [line for line in audit() if all(line.get(key) == value for key, value in wanted.items())]
        wait_for(lambda: lines(user="all", method="sql.execute", outcome="ok", affected=1), "the line of the write")
        wait_for(lambda: lines(user="all", method="sql.query", outcome="ok"), "the line of the write that came as a query")
        wait_for(lambda: lines(user="reader", method="sql.execute", outcome="denied"), "the line of the denial")
        wait_for(lambda: lines(user="reader", method="sql.query", outcome="denied"), "the line of the denial by what the statement is")
        [line] = lines(user="all", method="sql.query", outcome="ok")
        self.assertRegex(line["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertRegex(line["arguments"], r"^[0-9a-f]{16}$")
        self.assertEqual(line["over"], "xmlrpc")
        self.assertNotIn("by query", json.dumps(audit()))  # no values

    def test_calls_within_a_multicall_have_lines_of_their_own(self):
        calls = [("sql.execute", ["INSERT INTO city VALUES ('in a multicall')"]), ("sql.batch", [[["DELETE FROM city WHERE name = ?", ["in a multicall"]], ["SELECT 1", []]]]),
                 ("sql.query", ["SELECT 'in a multicall'"]), ("city.count", [])]
        before = len(audit())
        as_user("all").system.multicall([{"methodName": name, "params": params} for name, params in calls])
        wait_for(lambda: len(audit()) >= before + 2, "the lines of the writes")
        as_user("only_multicall").system.multicall([{"methodName": name, "params": params} for name, params in calls])
        wait_for(lambda: len(audit()) >= before + 6, "the lines of the denials")
        self.assertEqual([(line["user"], line["method"], line["over"], line["outcome"], line.get("affected")) for line in audit()[before:]],
                         [("all", "sql.execute", "multicall", "ok", 1), ("all", "sql.batch", "multicall", "ok", 1)]
                         + [("only_multicall", name, "multicall", "denied", None) for name, _ in calls])

    def test_a_batch_tells_how_many_rows_all_of_it_changed(self):
        before = len(audit())
        as_user("all").sql.batch([["INSERT INTO city VALUES ('a'), ('b')", []], "INSERT INTO city VALUES ('c')"])
        wait_for(lambda: len(audit()) > before, "the line")
        self.assertEqual((audit()[before]["method"], audit()[before]["affected"]), ("sql.batch", 3))

    def test_the_reply_of_an_earlier_call_is_no_new_write(self):
        before = len(audit())
        for write, statement in ((as_user("all").sql.execute, "INSERT INTO city VALUES ('once')"), (as_user("all").sql.batch, ["INSERT INTO city VALUES ('once')"])):
            for replayed in (None, True):
                self.assertEqual(write(statement, *([[]] if isinstance(statement, str) else []), {"key": str(write)})["route"].get("replayed"), replayed)
        wait_for(lambda: len(audit()) >= before + 4, "the lines")
        self.assertEqual([(line["method"], line["affected"], line.get("replayed")) for line in audit()[before:]],
                         [("sql.execute", 1, None), ("sql.execute", 1, True), ("sql.batch", 1, None), ("sql.batch", 1, True)])

    def test_who_must_wait_after_failed_logins_has_lines_too(self):
        path = f"{self.enterContext(tempfile.TemporaryDirectory())}/audit.log"
        with Gateway(config=CONFIG.format(folder=folder.name).replace(f"{folder.name}/audit.log", path)) as other:
            self.assertEqual([post(basic("ann", f"wrong {n}"), other.url)[0] for n in range(8)], [401] * 6 + [429] * 2)

            def lines():
                with open(path) as f:
                    return [json.loads(line) for line in f]
            wait_for(lambda: len(lines()) >= 8, "the lines")
            self.assertEqual([line["outcome"] for line in lines()], ["unauthenticated"] * 6 + ["overloaded"] * 2)
            self.assertEqual({line["address"] for line in lines()}, {"127.0.0.1"})

    def test_who_tries_names_out_is_seen_and_does_not_fill_the_log(self):
        path = f"{self.enterContext(tempfile.TemporaryDirectory())}/audit.log"
        config = CONFIG.format(folder=folder.name).replace(f"{folder.name}/audit.log", path)
        with Gateway(config=config) as other, xmlrpc.client.ServerProxy(other.url, headers=[("Authorization", "Bearer " + tokens["only_multicall"])]) as prober:
            def lines(name):
                with open(path) as f:
                    return [line for line in map(json.loads, f) if (line["user"], line["outcome"]) == (name, "no_such_method")]
            self.fault(-32601, prober.passwd)
            self.fault(-32601, getattr(prober, "x" * 5000))
            prober.system.multicall([{"methodName": f"guess{n}", "params": []} for n in range(500)])
            with Client(other.endpoint) as anonymous, self.assertRaises(RemoteError):
                anonymous("shadow")
            wait_for(lambda: len(lines("only_multicall")) >= 20 and lines("anonymous"), "the lines")
            self.assertEqual([line["method"] for line in lines("only_multicall")][:3], ["passwd", "x" * 100, "guess0"])
            self.assertEqual([(line["method"], line["over"]) for line in lines("anonymous")], [("shadow", "zerorpc")])

            def told_of_the_rest():
                self.fault(-32601, prober.once_more)
                return any(line.get("unwritten", 0) >= 400 for line in lines("only_multicall"))
            wait_for(told_of_the_rest, "a line that says how many had none")
            self.assertLess(len(lines("only_multicall")), 40)

    def test_a_named_statement_runs_on_its_own_database_alone(self):
        with tempfile.TemporaryDirectory() as other:
            config = CONFIG.format(folder=folder.name).replace(f"{folder.name}/audit.log", f"{other}/audit.log") + f'[database.main]\nurl = "sqlite:{other}/main.db"\n[database.other]\nurl = "sqlite:{other}/other.db"\n'
            with Gateway(config=config) as two, xmlrpc.client.ServerProxy(two.url, headers=[("Authorization", "Bearer " + tokens["all"])]) as g:
                self.assertEqual(g.city.count()["rows"], [[0]])
                with self.assertRaises(xmlrpc.client.Fault) as caught:
                    g.city.count({"db": "other"})
                self.assertIn("count() is a statement of the default database; leave the option 'db' out", caught.exception.faultString)
                tx = g.sql.begin({"db": "other"})
                with self.assertRaises(xmlrpc.client.Fault) as caught:
                    g.city.count({"tx": tx})
                self.assertIn("is a statement of the default database", caught.exception.faultString)

    def test_strangers_do_not_fill_the_log(self):
        path = f"{self.enterContext(tempfile.TemporaryDirectory())}/audit.log"
        with Gateway(config=f'[access]\nusers = "{folder.name}/users"\naudit = "{path}"\n' + CONFIG[CONFIG.index("[role.nothing]"):]) as closed, Client(closed.endpoint) as stranger:
            def ask():
                with self.assertRaises(RemoteError):
                    stranger("add", 1, 2)

            def lines():
                with open(path) as f:
                    return [line for line in map(json.loads, f) if line["outcome"] == "unauthenticated"]
            [ask() for _ in range(1500)]
            wait_for(lambda: (ask(), len(lines()) + sum(line.get("unwritten", 0) for line in lines()) >= 1500)[1], "a line, or its mention, for each")
            self.assertGreater(sum(line.get("unwritten", 0) for line in lines()), 100)

    def test_no_line_for_a_read(self):
        as_user("all").sql.query("SELECT 'read this'")
        as_user("all").sql.execute("INSERT INTO city VALUES ('after')")
        wait_for(lambda: audit(), "lines")
        self.assertNotIn("select", json.dumps(audit()).lower())


class SluiceCall(unittest.TestCase):
    def setUp(self):
        # A gateway of its own: failures make this address wait.
        self.gateway = self.enterContext(Gateway(config=CONFIG.format(folder=folder.name)))

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
        self.assertEqual(user("add", "a@b", "--role", "all", "--users", f"{folder.name}/users", stdin="p:w/%41 é@\n").returncode, 0)
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


class Command(unittest.TestCase):
    def test_add_list_remove(self):
        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            self.assertEqual(user("add", "bob", "--role", "a", "--role", "b", "--users", users, stdin="long enough\n").returncode, 0)
            token = user("add", "bob", "--role", "a", "--token", "--users", users).stdout
            self.assertRegex(token, r"^slt_[0-9a-f]{64}\n$")
            self.assertEqual(user("add", "eve", "--role", "a", "--certificate", "eve.example", "--users", users).returncode, 0)
            self.assertEqual(user("list", "--users", users).stdout, "bob\tpassword\ta,b\nbob\ttoken\ta\neve\tcertificate\ta\teve.example\n")
            self.assertEqual(user("remove", "bob", "--users", users).returncode, 0)
            self.assertEqual(user("list", "--users", users).stdout, "eve\tcertificate\ta\teve.example\n")
            self.assertIn("has no user 'bob'", user("remove", "bob", "--users", users).stderr)

    def test_whom_another_adds_while_a_password_is_typed_stays(self):
        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            terminal, its_end = pty.openpty()
            slow = subprocess.Popen([SLUICE, "user", "add", "ann", "--role", "a", "--users", users], stdin=its_end, stderr=subprocess.PIPE)
            os.close(its_end)
            with slow, open(terminal, "wb", buffering=0) as keyboard:
                def prompted(text):
                    seen = b""
                    while not seen.endswith(text):
                        byte = slow.stderr.read(1)
                        self.assertTrue(byte, seen)
                        seen += byte

                prompted(b"password of ann: ")
                self.assertEqual(user("add", "bob", "--role", "a", "--token", "--users", users).returncode, 0)
                keyboard.write(PASSWORD.encode() + b"\n")
                prompted(b"again: ")
                keyboard.write(PASSWORD.encode() + b"\n")
                self.assertEqual(slow.wait(60), 0)
            self.assertEqual(user("list", "--users", users).stdout, "bob\ttoken\ta\nann\tpassword\ta\n")

    def test_twenty_at_once_lose_nobody(self):
        def at_once(*commands):
            running = [subprocess.Popen([SLUICE, "user", *command, "--users", users], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for command in commands]
            told = [one.communicate(timeout=60)[1] for one in running]
            self.assertEqual([(one.returncode, text) for one, text in zip(running, told)], [(0, b"")] * len(commands))

        def listed():
            return sorted(line.split("\t")[0] for line in user("list", "--users", users).stdout.splitlines())

        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            old, new = [f"old{n:02}" for n in range(20)], [f"new{n:02}" for n in range(20)]
            at_once(*[("add", name, "--role", "a", "--token") for name in old])
            self.assertEqual(listed(), old)
            at_once(*[("remove", name) for name in old[:10]], *[("add", name, "--role", "a", "--token") for name in new[:10]])
            self.assertEqual(listed(), new[:10] + old[10:])

    def test_a_role_that_the_configuration_lacks_is_not_given(self):
        with tempfile.TemporaryDirectory() as place:
            config, users = f"{place}/sluice.toml", f"{place}/users"
            with open(config, "w") as f:
                f.write(f'[access]\nusers = "{users}"\n[role.app]\n[role.reader]\n')
            for named in ([], ["--users", users]):
                refused = user("add", "bob", "--role", "app", "--role", "nope", "--token", "-c", config, *named)
                self.assertEqual((refused.returncode, refused.stdout), (1, ""))
                self.assertIn(f"{config} has no [role.nope]", refused.stderr)
                self.assertIn("its roles are app,reader", refused.stderr)
                self.assertEqual(os.listdir(place), ["sluice.toml"])
            self.assertEqual(user("add", "bob", "--role", "app", "--token", "-c", config).returncode, 0)

    def test_a_file_that_is_not_there_is_told(self):
        with tempfile.TemporaryDirectory() as place:
            for command in (["list"], ["remove", "bob"]):
                refused = user(*command, "--users", f"{place}/nope")
                self.assertEqual((refused.returncode, refused.stdout), (1, ""))
                self.assertIn(f"{place}/nope: cannot be read: No such file or directory; the first `sluice user add` makes it", refused.stderr)
            self.assertEqual(os.listdir(place), [])
            self.assertIn("the folder must be there", user("add", "bob", "--role", "a", "--token", "--users", f"{place}/nope/users").stderr)

    def test_what_is_wrong_is_told(self):
        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            self.assertIn("8 characters at least", user("add", "bob", "--role", "a", "--users", users, stdin="short\n").stderr)
            self.assertIn("no user's name", user("add", "b:b", "--role", "a", "--users", users, stdin=PASSWORD).stderr)
            self.assertEqual(user("add", "bob", "--role", "a", stdin=PASSWORD).returncode, 2)
            with open(users, "w") as f:
                f.write("# comment\nnonsense\n")
            self.assertIn(f"{users}:2: expected NAME:ROLE,ROLE:SECRET", user("list", "--users", users).stderr)

    def test_a_role_that_is_not_there(self):
        with tempfile.TemporaryDirectory() as place:
            with open(f"{place}/users", "w") as f:
                f.write("bob:ghost:$token$00\n")
            with open(f"{place}/sluice.toml", "w") as f:
                f.write(f'[access]\nusers = "{place}/users"\n')
            checked = subprocess.run([SLUICE, "check", f"{place}/sluice.toml"], capture_output=True, text=True, timeout=60)
            self.assertEqual(checked.returncode, 1)
            self.assertIn("'bob' has the role 'ghost', but the configuration has no [role.ghost]", checked.stderr)


if __name__ == "__main__":
    unittest.main()
