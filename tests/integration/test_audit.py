"""The audit log: a line for each write and each denial, and no more than belong there."""

import json
import tempfile
import unittest
import xmlrpc.client

from access_cases import CONFIG, as_user, audit, basic, post, setUpModule, tearDownModule, world  # noqa: F401
from cases import DENIED, CodeCase
from gateway import Gateway, wait_for
from zerorpc_client import Client, RemoteError


class Audit(CodeCase):
    def test_a_line_for_each_denial_whoever_denies(self):
        server = as_user("elsewhere_named")
        self.fault(DENIED, server.city.count)
        self.fault(DENIED, as_user("elsewhere").sql.topology)
        with Gateway(config=CONFIG.format(folder=world.folder).replace('anonymous = ["nothing"]', 'anonymous = ["reader"]')) as other, Client(other.endpoint) as zerorpc:
            with xmlrpc.client.ServerProxy(other.url, headers=[("Authorization", "Bearer " + world.tokens["all"])]) as owner:
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
        with Gateway(config=CONFIG.format(folder=world.folder).replace(f"{world.folder}/audit.log", path)) as other:
            self.assertEqual([post(basic("ann", f"wrong {n}"), other.url)[0] for n in range(8)], [401] * 6 + [429] * 2)

            def lines():
                with open(path) as f:
                    return [json.loads(line) for line in f]
            wait_for(lambda: len(lines()) >= 8, "the lines")
            self.assertEqual([line["outcome"] for line in lines()], ["unauthenticated"] * 6 + ["overloaded"] * 2)
            self.assertEqual({line["address"] for line in lines()}, {"127.0.0.1"})

    def test_who_tries_names_out_is_seen_and_does_not_fill_the_log(self):
        path = f"{self.enterContext(tempfile.TemporaryDirectory())}/audit.log"
        config = CONFIG.format(folder=world.folder).replace(f"{world.folder}/audit.log", path)
        with Gateway(config=config) as other, xmlrpc.client.ServerProxy(other.url, headers=[("Authorization", "Bearer " + world.tokens["only_multicall"])]) as prober:
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
            config = CONFIG.format(folder=world.folder).replace(f"{world.folder}/audit.log", f"{other}/audit.log") + f'[database.main]\nurl = "sqlite:{other}/main.db"\n[database.other]\nurl = "sqlite:{other}/other.db"\n'
            with Gateway(config=config) as two, xmlrpc.client.ServerProxy(two.url, headers=[("Authorization", "Bearer " + world.tokens["all"])]) as g:
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
        with Gateway(config=f'[access]\nusers = "{world.folder}/users"\naudit = "{path}"\n' + CONFIG[CONFIG.index("[role.nothing]"):]) as closed, Client(closed.endpoint) as stranger:
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


if __name__ == "__main__":
    unittest.main()
