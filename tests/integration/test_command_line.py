"""The command line: what it prints, where, and its exit codes."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from gateway import SLUICE, Gateway, free_port

TOML = os.path.join(os.environ["SLUICE_SOURCE"], "examples/sluice.toml")


def sluice(*arguments, stdin="", **environment):
    done = subprocess.run([SLUICE, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60, env=dict(os.environ, **environment))
    return done.returncode, done.stdout, done.stderr


class Call(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway()

    @classmethod
    def tearDownClass(cls):
        assert cls.gateway.stop() == 0

    def urls(self):
        return [self.gateway.url, self.gateway.endpoint]

    def test_answers_are_json(self):
        for url in self.urls():
            self.assertEqual(sluice("call", url, "add", 3, 4), (0, "7\n", ""))
            value = [None, True, 1.5, "é😀", {"a": [{"$base64": "aGk="}]}, 2**53 + 1]
            code, out, _ = sluice("call", url, "echo", json.dumps(value))
            self.assertEqual((code, json.loads(out)), (0, value))
            self.assertEqual(sluice("call", url, "echo", '{"$datetime": "20261123T14:05:00"}')[1], '{"$datetime":"20261123T14:05:00"}\n')

    def test_bare_words_and_standard_input(self):
        for url in self.urls():
            self.assertEqual(sluice("call", url, "echo", "hello world")[1], '"hello world"\n')
            self.assertEqual(sluice("call", url, "echo", "-", stdin='{"a": 1}\n')[1], '{"a":1}\n')
            self.assertEqual(sluice("call", url, "subtract", "3", "-4")[1], "7\n")

    def test_streams_come_line_by_line(self):
        self.assertEqual(sluice("call", self.gateway.endpoint, "probe.count", 3), (0, "0\n1\n2\n", ""))
        code, out, err = sluice("call", self.gateway.endpoint, "probe.count_then_fail", 2)
        self.assertEqual((code, out), (1, "0\n1\n"))
        self.assertIn("RuntimeError: probe", err)

    def test_faults_unreachable_and_misuse(self):
        for url in self.urls():
            code, out, err = sluice("call", url, "divide", 1, 0)
            self.assertEqual((code, out), (1, ""))
            self.assertIn("division by zero", err)
        for url in (f"http://127.0.0.1:{free_port()}", f"tcp://127.0.0.1:{free_port()}"):
            code, _, err = sluice("call", "--timeout", 1, url, "add", 3, 4)
            self.assertEqual(code, 3, err)
            self.assertIn("is `sluice serve` running there?", err)
        self.assertEqual(sluice("call", "ftp://x", "add")[0], 2)
        self.assertEqual(sluice("call", self.gateway.url, "echo", '{"$base64": "?"}')[0], 2)
        self.assertEqual(sluice("call", "--nonsense")[0], 2)
        self.assertEqual(sluice()[0], 2)

    def test_a_time_to_wait_that_is_none(self):
        for text in ("nan", "inf", "-1", "0", "1e300", "0.0001", "soon"):
            code, out, err = sluice("call", "--timeout", text, self.gateway.url, "add", 3, 4)
            self.assertEqual((code, out), (2, ""))
            self.assertIn(f"--timeout: expected a number of seconds from 0.001 to 86400, not '{text}'", err)
        self.assertEqual(sluice("call", "--timeout", "86400", self.gateway.url, "add", 3, 4)[1], "7\n")

    def test_without_a_method_it_lists_them(self):
        for url in self.urls():
            code, out, _ = sluice("call", url)
            self.assertEqual(code, 0)
            self.assertIn("sql.query(string, any, struct)\n    Runs a statement", out)


class Check(unittest.TestCase):
    def check(self, text, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
            f.write(text)
            f.flush()
            code, out, err = sluice("check", f.name, *arguments)
            return code, out.replace(f.name, "FILE"), err.replace(f.name, "FILE")

    def test_every_error_has_its_place_and_advice(self):
        code, _, err = self.check('[xmlrpc]\nlisen = "x"\n[sqlite]\nreaders = "two"\n[limts]\n')
        self.assertEqual(code, 1)
        self.assertEqual(err, """\
FILE:2:1: [xmlrpc] has no key 'lisen'; did you mean 'listen'?
  lisen = "x"
  ^
FILE:4:11: sqlite.readers must be an integer, not 'two'
  readers = "two"
            ^
FILE:5:2: there is no section [limts]; did you mean 'limits'?
  [limts]
   ^
3 errors
""")

    def test_ranges_and_syntax(self):
        self.assertIn("sql.answer_rows must be from 1 to", self.check("[sql]\nanswer_rows = 0\n")[2])
        code, _, err = self.check("[sql\n")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"FILE:1:\d+: .*\n  \[sql\n +\^")

    def test_uses_are_checked(self):
        self.assertIn("'nonsense' is no address to listen on", self.check('[xmlrpc]\nlisten = "nonsense"\n')[2])
        self.assertIn("refusing to listen on 0.0.0.0:4242", self.check('[xmlrpc]\nlisten = "0.0.0.0:4242"\n')[2])
        self.assertIn("cannot be read", self.check('[sql]\nstatements = "/nonexistent"\n')[2])

    def test_what_serve_would_refuse_is_shown_where_it_stands(self):
        code, _, err = self.check('[lock]\nbackend = "redlock://a:1,b:2"\n[id]\nbackend = "etcd://:secret@a:1"\n')
        self.assertEqual(code, 1)
        self.assertEqual(err, """\
FILE:2:11: lock.backend: redlock:// takes an odd number of masters, three or more, not 2
  backend = "redlock://a:1,b:2"
            ^
FILE:4:11: id.backend: 'etcd' is no store; expected sqlite, database:NAME, redis://HOST:PORT, zookeeper://HOST:PORT,HOST:PORT/ROOT or worker:N
  backend = "etcd://:***@a:1"
            ^
2 errors
""")
        for text, words in [('[lock]\nspaces = ["a=sqlite", "a=sqlite"]', "FILE:2:10: lock.spaces: 'a' stands there twice"),
                            ('[lock]\nspaces = ["sqlite"]', "lock.spaces must hold NAME=BACKEND, not 'sqlite'"),
                            ('[lock]\nspaces = ["a=redis://:p@h:x"]', "lock.spaces 'a': the port must be a number up to 65535, not 'x'"),
                            ('[lock]\nbackend = "database:other"', "lock.backend: there is no [database.other]"),
                            ('[lock]\nbackend = "zookeeper://a:1"', "FILE:2:11: lock.backend: 'zookeeper://a:1' names no root"),
                            ('[id]\nbackend = "worker:x"', "id.backend: 'worker:x' names no worker id"),
                            ('[id]\nredis = "redis://a:1,b:2"', "id.redis: redis:// takes one server, not 2"),
                            ('[id]\nspaces = ["main", "main"]', "id.spaces: 'main' stands there twice"),
                            ('[id]\nspaces = ["main layout=1/2/3"]', "id.spaces: "),
                            ('[id]\nkeys = ["k1=/nonexistent"]', "id.keys: cannot read the key file /nonexistent"),
                            ('[sql]\ndefault = "other"', "FILE:2:11: sql.default is 'other', but there is no [database.other]"),
                            ('[zerorpc]\nlisten = ["tcp//x"]', "FILE:2:10: zerorpc.listen: 'tcp//x' is no endpoint"),
                            ('[database.a]\nweights = ["h:1=x"]\nurl = "postgresql://h:1/x"', "FILE:2:11: [database.a]: weights must hold HOST:PORT=NUMBER"),
                            ('[database.a]\nweights = ["i:1=2"]\nurl = "mariadb://u@h:1/x"', "FILE:2:11: [database.a]: weights names 'i:1', which is no node of url"),
                            ('[database.a]\nurl = "mariadb://u@h/x?password_file=/nonexistent"', "FILE:2:7: [database.a]: password_file: /nonexistent: cannot be read: No such file or directory"),
                            ('[database.a]\nurl = "mariadb://u@h/x?password_file=/dev/null"', "password_file: /dev/null: cannot be read: it is no regular file"),
                            ('[database.a]\nurl = "oracle://h/x"', "FILE:2:7: [database.a]: url 'oracle:...' names no engine")]:
            with self.subTest(text):
                code, _, err = self.check(text + "\n")
                self.assertEqual(code, 1)
                self.assertIn(words, err)
                self.assertIn("\n  " + text.splitlines()[1].replace(":p@", ":***@") + "\n", err)
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
            f.write('[id]\nbackend = "worker:x"\n')
            f.flush()
            code, _, err = sluice("serve", "-c", f.name)
            self.assertEqual(code, 1)
            self.assertIn(f"{f.name}:2:11: id.backend: 'worker:x' names no worker id", err)

    def test_the_line_that_is_shown_has_no_password(self):
        for line, shown, words in [
                ('url = "oracle://app:hunter2@db/x"', 'url = "oracle://app:***@db/x"\n        ^', "FILE:2:7: [database.a]: url 'oracle:...' names no engine"),
                ('url = "postgresql://app:hun%zzter2@db/x"', 'url = "postgresql://app:***@db/x"\n        ^', "FILE:2:7: [database.a]: not a PostgreSQL connection string: "),
                ('url = "postgresql://db/x?password=hunter2&nonsense=1"', 'url = "postgresql://db/x?password=***', 'invalid URI query parameter: "nonsense"'),
                ('url = "mariadb://app:hunter2@db/x" nonsense', 'url = "mariadb://app:***@db/x" nonsense\n                                 ^', "FILE:2:36: "),
                ('url = "mariadb://app:hunter2@db/x', 'url = "mariadb://app:***@db/x\n', "FILE:2:"),
                ('url = mariadb://app:hunter2@db/x', 'url = mariadb://app:***@db/x\n', "FILE:2:"),
                ('max_lag_ms = "mariadb://app:hunter2@db/x"', 'max_lag_ms = "mariadb://app:***@db/x"\n               ^', "must be an integer, not 'mariadb://app:***@db/x'")]:
            for command in (["check"], ["serve", "-c"]):
                with self.subTest(line=line, command=command), tempfile.NamedTemporaryFile("w", suffix=".toml") as f:
                    f.write(f"[database.a]\n{line}\n")
                    f.flush()
                    code, out, err = sluice(*command, f.name)
                    err = err.replace(f.name, "FILE")
                    self.assertEqual((code, out), (1, ""))
                    self.assertIn(words, err)
                    self.assertIn(f"\n  {shown}", err)
                    self.assertNotIn("ter2", err)

    def test_named_statements_are_held_to_what_they_say(self):
        with tempfile.TemporaryDirectory() as folder:
            for text, words in [("-- name: city.all\n-- read\nDELETE FROM city", "city.all is called a read, and is a write"),
                                ("-- name: city.all\n-- write\nPRAGMA synchronous = OFF", "city.all cannot be served"),
                                ("-- name: city.all\n-- read\n-- db: elsewhere\nSELECT 1", "there is no [database.elsewhere]")]:
                with open(os.path.join(folder, "city.sql"), "w") as f:
                    f.write(text)
                self.assertIn(words, self.check(f'[sql]\nstatements = "{folder}"\n')[2])

    def test_the_example_is_well_and_says_the_defaults(self):
        code, out, err = sluice("check", TOML)
        self.assertEqual((code, err), (0, ""))
        self.assertIn(": well; ", out)
        with open(TOML) as f:
            documented = dict(re.findall(r"^(?:# )?(\w+) = (.*)$", f.read(), re.M))
        _, printed, _ = self.check("", "--print-config")
        for key, value in re.findall(r"^(\w+) = (.*?)  # default$", printed, re.M):
            self.assertIn(key, documented)

    def test_the_configuration_page_has_every_key_with_its_default(self):
        with open(os.path.join(os.environ["SLUICE_SOURCE"], "docs/configuration.md")) as f:
            page = f.read()
        _, printed, _ = self.check("", "--print-config")
        section = None
        for line in printed.splitlines():
            if line.startswith("["):
                section = line[1:-1]
            elif line:
                key, value = re.match(r"(\w+) = (.*?)  # default$", line).groups()
                self.assertIn(f"| `{section}.{key}` | `{value}` |", page)


class Serve(unittest.TestCase):
    def fails(self, *arguments, **environment):
        code, out, err = sluice("serve", *arguments, **environment)
        self.assertEqual((code, out), (1, ""))
        return err

    def test_listening_to_the_world_must_be_asked_for(self):
        for arguments in (["--xmlrpc", "0.0.0.0:4242"], ["--xmlrpc", "[::]:4242"], ["--zerorpc", "tcp://*:4243"], ["--zerorpc", "tcp://0.0.0.0:4243"]):
            self.assertIn("--listen-without-authentication", self.fails(*arguments))

    def test_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with tempfile.TemporaryDirectory() as folder:
                self.assertIn("another program listens there", self.fails("--xmlrpc", f"127.0.0.1:{port}", "--data", f"{folder}/x.db"))
                self.assertIn(str(port), self.fails("--zerorpc", f"tcp://127.0.0.1:{port}", "--xmlrpc", "127.0.0.1:0", "--data", f"{folder}/x.db"))

    def test_a_database_that_cannot_be(self):
        self.assertIn("'/nonexistent/x.db' cannot be opened", self.fails("--data", "/nonexistent/x.db"))

    def test_the_environment_and_the_origin_of_settings(self):
        code, out, _ = sluice("serve", "--print-config", "--data", "/tmp/y.db", SLUICE_SQLITE_READERS="5", SLUICE_XMLRPC_LISTEN="127.0.0.1:1,127.0.0.1:2")
        self.assertEqual(code, 0)
        self.assertIn("readers = 5  # SLUICE_SQLITE_READERS", out)
        self.assertIn('listen = ["127.0.0.1:1", "127.0.0.1:2"]  # SLUICE_XMLRPC_LISTEN', out)
        self.assertIn('file = "/tmp/y.db"  # --data', out)
        self.assertIn("SLUICE_SQLITE_READERS: sqlite.readers must be an integer, not 'x'", self.fails(SLUICE_SQLITE_READERS="x"))

    def test_the_configuration_is_printed_whole_and_without_passwords(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/sluice.toml", "w") as f:
                f.write('[lock]\nbackend = "redlock://:hunter2@a:1,b:2,c:3"\n[id]\nbackend = "redis://:hunter2@127.0.0.1:6379"\n'
                        '[database.shop]\nurl = "postgresql://app:hunter2@db1:5432,db2/shop?sslmode=require&password=hunter2&sslpassword=hunter2"\n'
                        '[database.other]\nurl = "mariadb://app:hunter2@db/other"\nwaiting = 7\n[role.app]\nmethods = ["city.*"]\n')
            for command in (("check", f"{folder}/sluice.toml", "--print-config"), ("serve", "-c", f"{folder}/sluice.toml", "--print-config")):
                _, out, err = sluice(*command)
                for shown in ('backend = "redlock://:***@a:1,b:2,c:3"', 'backend = "redis://:***@127.0.0.1:6379"', "[database.shop]", "[database.other]",
                              'url = "postgresql://app:***@db1:5432,db2/shop?sslmode=require&password=***&sslpassword=***"', "mariadb://app:***@db/other",
                              f"waiting = 7  # {folder}/sluice.toml:9", "[role.app]", f'methods = ["city.*"]  # {folder}/sluice.toml:11', 'statements = "named"  # default'):
                    self.assertIn(shown, out, (command, err))
                self.assertNotIn("ter2", out)
        for password in ("hunter2", "hun/ter2", "hun?ter2", "hun@ter2"):  # also such as have to be written as %XX
            _, out, _ = sluice("serve", "--print-config", "--data", f"postgresql://app:{password}@db/shop")
            self.assertIn('url = "postgresql://app:***@db/shop"  # --data', out)

    def test_a_configuration_may_come_from_a_pipe(self):
        with tempfile.TemporaryDirectory() as folder:
            code, out, _ = sluice("serve", "--print-config", "-c", "/dev/stdin", stdin="[sqlite]\nreaders = 7\n")
            self.assertEqual(code, 0)
            self.assertIn("readers = 7  # /dev/stdin:2", out)
            self.assertEqual(sluice("check", "/dev/stdin", stdin="[sqlite]\nreaders = 7\n")[0], 0)
            os.mkfifo(f"{folder}/pipe")
            for key in ("access.users", "sql.statements", "tls.certificate"):
                section, name = key.split(".")
                value = folder if key == "sql.statements" else f"{folder}/pipe"
                if key == "sql.statements":
                    os.mkfifo(f"{folder}/all.sql")
                more = '[xmlrpc]\nlisten = "https://127.0.0.1:0"\n' if section == "tls" else ""
                code, _, err = sluice("check", "/dev/stdin", stdin=f'[{section}]\n{name} = "{value}"\n' + ('key = "x"\n' if section == "tls" else "") + more)
                self.assertEqual(code, 1)
                self.assertIn("cannot be read: it is no regular file", err)

    def test_what_it_makes_is_its_owners_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/sluice.toml", "w") as f:
                f.write(f'[access]\nusers = "{folder}/users"\naudit = "{folder}/audit.log"\n[zerorpc]\nlisten = "ipc://{folder}/socket"\n')
            command = ["sh", "-c", 'umask 000; exec "$@"', "sh", SLUICE, "serve", "-c", f"{folder}/sluice.toml", "--xmlrpc", "127.0.0.1:0", "--data", f"{folder}/x.db"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                self.assertIn("ready", process.stdout.readline())
                made = set(os.listdir(folder)) - {"sluice.toml"}
                self.assertGreaterEqual(made, {"x.db", "x.db-wal", "x.db-secret", "x.db-ids", "x.db-locks", "audit.log", "socket"})
                self.assertEqual({name: oct(os.stat(f"{folder}/{name}").st_mode & 0o077) for name in made}, dict.fromkeys(made, "0o0"))
                process.send_signal(signal.SIGTERM)

    def test_port_zero_shows_the_real_one_and_signals_end_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with tempfile.TemporaryDirectory() as folder:
                process = subprocess.Popen([SLUICE, "serve", "--xmlrpc", "127.0.0.1:0", "--zerorpc", "tcp://127.0.0.1:0", "--data", f"{folder}/x.db"],
                                           stdout=subprocess.PIPE, text=True)
                ready = process.stdout.readline()
                port = re.search(r"http://127.0.0.1:(\d+)", ready).group(1)
                self.assertEqual(sluice("call", f"http://127.0.0.1:{port}", "add", 1, 2)[1], "3\n")
                process.send_signal(number)
                self.assertEqual(process.wait(20), 0)
                self.assertEqual(process.stdout.read(), "")
                process.stdout.close()

    def test_demo_once(self):
        with tempfile.TemporaryDirectory() as folder:
            code, out, err = sluice("demo", "--once", "--data", f"{folder}/demo.db", "--xmlrpc", "127.0.0.1:0", "--zerorpc", "tcp://127.0.0.1:0")
        self.assertEqual(code, 0, out + err)
        self.assertIn("all 12 examples were right", out)

    def test_version(self):
        self.assertRegex(sluice("version")[1], r"^sluice \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
