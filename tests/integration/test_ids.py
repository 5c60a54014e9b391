"""id.* end to end, on the embedded store and without one: ids that never repeat and rise, whatever happens to gateways, clocks and the store."""

import contextlib
import os
import random
import shutil
import sqlite3
import time
import unittest
import uuid
import xmlrpc.client

import id_cases
from gateway import Gateway, wait_for
from id_cases import QUICK, ClockSteps, IdCase, Outage, Server, Torture, Wall, World, answer, configured, fresh, ids, proxy, setUpModule  # noqa: F401


class File(World):
    """The embedded store: gateways share a file."""

    def __init__(self):
        super().__init__(None, backend=None)
        self.file = fresh("ids")

    def gateway(self, more="", environment=None, number=0):
        return gateway(self.file, more, environment=environment)

    @contextlib.contextmanager
    def away(self):
        with contextlib.closing(sqlite3.connect(self.file, isolation_level=None, timeout=10)) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield
            db.execute("ROLLBACK")


@contextlib.contextmanager
def one_file():
    yield File()


id_cases.world = one_file


def gateway(file, more="", **options):
    return Gateway(config=configured(f'file = "{file}"\n{more}'), probe=False, **options)


class Surface(IdCase):
    @classmethod
    def setUpClass(cls):
        key = fresh("key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("00112233445566778899aabbccddeeff\n")
        cls.gateway = gateway(fresh("ids"), f'keys = ["k1={key}"]\nspaces = ["main", "orders", "js layout=js53"]\n')
        cls.g = proxy(cls.gateway)

    @classmethod
    def tearDownClass(cls):
        cls.g("close")()
        assert cls.gateway.stop() == 0

    def test_next_and_decode(self):
        first, second = self.g.id.next(), self.g.id.next()
        self.assertLess(int(first), int(second))
        said = self.g.id.decode(second)
        self.assertEqual((said["worker"], said["space"], said["epoch"].year), (0, "main", 2025))
        self.assertLess(abs(int(said["ms"]) - time.time() * 1000), 10_000)
        self.assertIsInstance(self.g.id.next({"as": "int"}), int)

    def test_batches(self):
        texts, ints = self.g.id.batch(1000), self.g.id.batch(1000, {"as": "int"})
        self.rises([(int(i), int(i)) for i in texts] + [(i, i) for i in ints])
        rows = ids(self.g.id.batch(1_000_000, {"as": "range"}))
        self.assertEqual(sum(last - first + 1 for first, last in rows), 1_000_000)
        self.rises(rows)

    def test_javascript_holds_those_of_js53(self):
        self.assertLess(int(self.g.id.batch(5000, {"space": "js"})[-1]), 2**53)

    def test_more_than_may_be_ahead_of_the_time_are_waited_for(self):
        rows = ids(self.g.id.batch(300_000, {"space": "js", "as": "range"}))  # 65536 a second, and two seconds at once
        self.assertEqual(sum(last - first + 1 for first, last in rows), 300_000)
        self.rises(rows)
        with gateway(fresh("ids"), "ahead_ms = 1\n") as server:  # the default layout, in many pieces
            rows = ids(proxy(server).id.batch(300_000, {"as": "range"}))
            self.assertEqual(sum(last - first + 1 for first, last in rows), 300_000)
            self.rises(rows)

    def test_segments(self):
        self.assertEqual(self.g.id.create("a", {"start": 10, "delta": 5, "remainder": 2})["next"], "12")
        self.assertFalse(self.g.id.create("a", {"start": 999})["created"])
        self.assertEqual([self.g.id.segment("a") for _ in range(3)], ["12", "17", "22"])
        self.assertEqual(self.g.id.segment("a", 2, {"as": "int"}), [27, 32])
        rows = self.g.id.segment("a", 100_000, {"as": "range"})
        self.assertEqual((rows[0][0], sum((int(last) - int(first)) // delta + 1 for first, last, delta in rows)), ("37", 100_000))
        self.fault("there is no tag 'nobody'; make it with id.create", self.g.id.segment, "nobody")

    def test_sequences_are_the_stores_own(self):
        self.assertEqual([self.g.id.sequence("invoice") for _ in range(3)], ["1", "2", "3"])

    def test_uuids_as_python_reads_them(self):
        for version in (1, 4, 6, 7):
            made = [uuid.UUID(self.g.id.uuid(version)) for _ in range(50)]
            self.assertEqual({(u.version, u.variant) for u in made}, {(version, uuid.RFC_4122)})
            self.assertEqual(len(set(made)), 50)
            if version in (6, 7):
                self.assertEqual(sorted(made), made)
        # RFC 9562, 5.6: the high 32, the middle 16 and, behind the version, the low 12 bits of version 1's time.
        six = uuid.UUID(self.g.id.uuid(6))
        ticks = (six.int >> 96) << 28 | (six.int >> 80 & 0xFFFF) << 12 | six.int >> 64 & 0x0FFF
        self.assertLess(abs(ticks / 1e7 - 12219292800 - time.time()), 10)
        self.assertEqual(int(self.g.id.decode(str(six))["ms"]), (ticks - 0x01B21DD213814000) // 10_000)
        self.assertLess(abs(uuid.UUID(self.g.id.uuid(1)).time / 1e7 - 12219292800 - time.time()), 10)
        self.assertLess(abs((uuid.UUID(self.g.id.uuid(7)).int >> 80) / 1000 - time.time()), 10)
        ulid = self.g.id.uuid("ulid")
        self.assertRegex(ulid, "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
        self.assertEqual(self.g.id.decode(ulid)["version"], 7)

    def test_hidden_ids_are_revealed_and_have_nothing_in_common(self):
        for number in ["0", "1", str(2**63 - 1), *(str(random.getrandbits(63)) for _ in range(50))]:
            self.assertEqual(self.g.id.reveal(self.g.id.hide(number)), number)
        start = int(self.g.id.next())
        hidden = [self.g.id.hide(str(start + i)) for i in range(200)]
        self.assertEqual(len(set(hidden)), 200)
        same = sum(a == b for one, next_ in zip(hidden, hidden[1:]) for a, b in zip(one[4:], next_[4:]))
        self.assertLess(same / (199 * 12), 0.06)  # of 32 letters, one by chance
        self.assertNotEqual(self.g.id.hide("7"), self.g.id.hide("7", {"space": "orders"}))

    def test_refusals_say_what_to_do(self):
        self.fault("did you mean 'space'?", self.g.id.next, {"spcae": "main"})
        self.fault("did you mean 'orders'?", self.g.id.next, {"space": "order"})
        self.fault("1000000 ids at most", self.g.id.batch, 1_000_001)
        self.fault('1, 4, 6 and 7, and "ulid", not int 8', self.g.id.uuid, 8)
        self.fault("option 'step' must be a decimal string or an int from 0 to 2^63 - 1, not int -1", self.g.id.create, "t", {"step": -1})
        for option in ("delta", "remainder", "start"):
            self.fault(f"option '{option}' must be a decimal string or an int", self.g.id.create, "t", {option: "-1"})
        self.fault("a UUID or a ULID, not string 'abc'", self.g.id.decode, "abc")
        self.fault('none is configured: id.redis = "redis://HOST:PORT"', self.g.id.redis, "a")
        self.fault("option 'anew' must be bool, not int", self.g.id.create, "a", {"anew": 1})
        self.fault("lower case letters", self.g.id.create, "a; DROP TABLE x")

    def test_each_method_names_the_words_of_its_option_as(self):
        one, many = '"text" or "int", not', '"list", "text", "int" or "range", not'
        for words, call, *arguments in ((one, self.g.id.next), (many, self.g.id.batch, 1), (one, self.g.id.segment, "t", None), (many, self.g.id.segment, "t", 2),
                                        ('"uuid" or "ulid", not', self.g.id.uuid, 7), (one, self.g.id.sequence, "t"), (one, self.g.id.redis, "t"),
                                        (one, self.g.id.reveal, "k1-0000000000000")):
            for wrong in ("float", "uuid" if "uuid" not in words else "int", 3):
                self.fault(f"option 'as' must be {words}", call, *arguments, {"as": wrong})

    def test_ints_on_request(self):
        self.g.id.create("ints")
        hidden = self.g.id.hide("77")
        for call, *arguments in ((self.g.id.next,), (self.g.id.segment, "ints", None), (self.g.id.sequence, "ints"), (self.g.id.reveal, hidden)):
            self.assertIsInstance(call(*arguments, {"as": "int"}), int)
            self.assertIsInstance(call(*arguments, {"as": "text"}), str)
            self.assertIsInstance(call(*arguments[:1]), str)

    def test_stats_keep_the_names_of_pysnowflake(self):
        self.g.id.next()
        stats = self.g.id.stats()
        self.assertLessEqual({"dc", "worker", "timestamp", "last_timestamp", "sequence", "sequence_overload", "errors"}, set(stats))
        self.assertEqual((stats["lease"], stats["lease"] > 0), (stats["lease_ms"], True))
        help_ = self.g.system.methodHelp("id.stats")
        self.assertEqual([name for name in stats if name not in help_], [])
        self.assertEqual((stats["store"], stats["claimed"]), ("sqlite", True))
        self.assertGreater(int(stats["mark"]), int(stats["last_timestamp"]))


class WhileTheStoreIsLocked(IdCase):
    """By another program: a backup, a shell."""

    def test_whatever_asks_it_is_told_so_in_time(self):
        file = fresh("ids")
        with gateway(file, "wait_ms = 500\ntag_wait_ms = 500\n") as server, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            g = proxy(server).id
            g.create("tag")
            g.sequence("known")
            db.execute("BEGIN EXCLUSIVE")
            for call in (lambda: g.sequence("known"), lambda: g.sequence("new"), lambda: g.create("other"), lambda: g.segment("tag"), lambda: g.next()):
                started = time.monotonic()
                with self.assertRaises(xmlrpc.client.Fault) as refused:
                    call()
                self.assertEqual(refused.exception.faultCode, -32012, refused.exception.faultString)
                self.assertLess(time.monotonic() - started, 1.5)
            db.execute("ROLLBACK")
            wait_for(lambda: answer(server, "id.sequence", "known"), "the store after it was locked")


class Copies(IdCase):
    def test_a_copied_file_is_caught(self):
        file, copy = fresh("ids"), fresh("copy")
        with gateway(file) as server:
            proxy(server).id.next()
        shutil.copy(file, copy)
        with gateway(copy) as server:
            self.fault("is a copy of one that keeps worker ids", proxy(server).id.next)
        with gateway(copy, "accept_copy = true\n") as server:
            proxy(server).id.next()
        with gateway(copy) as server:
            proxy(server).id.next()


    def test_a_file_of_two_names_is_refused_under_each(self):
        file, other = fresh("ids"), fresh("link")
        with gateway(file) as one:
            proxy(one).id.next()
            os.link(file, other)
            for name in (other, file):
                with self.assertRaisesRegex(RuntimeError, "has 2 names.*hard link.*-samefile"):
                    gateway(name)
            os.unlink(other)
            os.symlink(file, other)
            with gateway(other) as two, gateway(file) as three:  # one name, however it is reached
                servers = (one, two, three)
                self.distinct(*(ids(proxy(server).id.batch(10_000, {"as": "range"})) for server in servers))
                self.assertEqual({proxy(server).id.stats()["worker"] for server in servers}, {0, 1, 2})

    def test_a_file_that_is_used_under_another_name_is_refused(self):
        file, other = fresh("ids"), fresh("moved")
        with gateway(file) as server:
            proxy(server).id.next()
            os.rename(file, other)
            with self.assertRaisesRegex(RuntimeError, "is used by a gateway under another name"):
                gateway(other)
            os.rename(other, file)
        os.rename(file, other)
        with gateway(other) as server:  # nobody uses it
            proxy(server).id.next()


class OlderCopies(IdCase):
    """What gateways remember beside the file: an older copy that is written over it has its inode."""

    def setUp(self):
        self.file, self.rows = fresh("ids"), []
        self.wall = Wall()

    def take(self, server, count=20_000):
        self.rows += ids(proxy(server).id.batch(count, {"as": "range"}))

    def copy_after(self, gateway, ahead):
        """A copy of the file from before these many gateways went on by a clock that is a minute ahead."""
        with gateway() as server:
            self.take(server)
        shutil.copy(self.file, self.file + ".old")
        self.wall.step("+60")
        with contextlib.ExitStack() as stack:
            for server in [stack.enter_context(gateway(environment=self.wall.environment)) for _ in range(ahead)]:
                self.take(server)
        self.rows.sort()
        shutil.copyfile(self.file + ".old", self.file)

    def test_an_older_copy_is_refused_until_it_is_accepted(self):
        self.copy_after(lambda **options: gateway(self.file, **options), 2)
        with gateway(self.file) as server:
            for call in (lambda g: g.next(), lambda g: g.create("tag"), lambda g: g.sequence("tag")):
                self.fault("is older than what gateways remember of it", call, proxy(server).id)
        for more in ("accept_copy = true\n", "accept_copy = true\n", ""):
            with gateway(self.file, more) as server:
                self.take(server)
                self.assertLess(int(proxy(server).id.stats()["lead_ms"]), 65_000)
        self.rises(self.rows)

    def test_what_was_beside_the_file_is_missed(self):
        with gateway(self.file) as server:
            self.take(server)
        with gateway(self.file) as server:
            proxy(server).id.create("tag")
            proxy(server).id.segment("tag")
            server.kill()
        os.unlink(self.file + "-wal")
        with gateway(self.file) as server:
            self.fault("is older than what gateways remember of it", proxy(server).id.segment, "tag")

    def test_a_sequence_alone_is_remembered(self):
        with gateway(self.file) as server:
            proxy(server).id.sequence("tag")
        shutil.copy(self.file, self.file + ".old")
        with gateway(self.file) as server:
            for _ in range(3):
                proxy(server).id.sequence("tag")
        shutil.copyfile(self.file + ".old", self.file)
        with gateway(self.file) as server:
            self.fault("is older than what gateways remember of it", proxy(server).id.sequence, "tag")

    def test_without_a_store_ids_go_on_above(self):
        backend = 'backend = "worker:3"\n'
        self.copy_after(lambda **options: gateway(self.file, backend, **options), 1)
        last = self.rows[-1][1]
        for more in ("", 'spaces = ["of_which_the_copy_knows_nothing"]\n'):
            with gateway(self.file, backend + more) as server:
                self.assertGreater(int(proxy(server).id.next()), last)
        os.unlink(self.file)
        with gateway(self.file, backend) as server:
            self.assertGreater(int(proxy(server).id.next()), last)


class WithoutAStore(IdCase):
    """id.backend = "worker:N": the worker id is the configuration's, its mark in a local file."""

    def gateway(self, file, worker=3, more=""):
        return gateway(file, f'backend = "worker:{worker}"\n{more}')

    def test_ids_rise_over_kills_and_restarts(self):
        file, rows = fresh("worker"), []
        for ending in ("kill", "kill", "stop", "kill"):
            with self.gateway(file) as server:
                rows += ids(proxy(server).id.batch(50_000, {"as": "range"}))
                self.assertEqual(proxy(server).id.decode(str(rows[-1][0]))["worker"], 3)
                getattr(server, ending)()
        self.rises(rows)

    def test_two_gateways_on_one_file_are_refused(self):
        file = fresh("worker")
        with self.gateway(file) as server:
            with self.assertRaisesRegex(RuntimeError, "is used by another gateway"):
                self.gateway(file, 4)
            proxy(server).id.next()

    def test_a_file_of_two_names_is_refused(self):
        file, other = fresh("worker"), fresh("link")
        with self.gateway(file):
            os.link(file, other)
        with self.assertRaisesRegex(RuntimeError, "has 2 names"):
            self.gateway(other)

    def test_two_gateways_with_their_own_give_different_ids(self):
        with self.gateway(fresh("worker"), 1) as one, self.gateway(fresh("worker"), 2) as two:
            self.distinct(*(ids(proxy(server).id.batch(100_000, {"as": "range"})) for server in (one, two)))

    def test_a_write_that_was_cut_off_leaves_the_one_before(self):
        file, rows = fresh("worker"), []
        for _ in range(3):
            with self.gateway(file) as server:
                rows += ids(proxy(server).id.batch(100, {"as": "range"}))
                server.kill()
            with open(file, "r+b") as f:
                older = min((0, 65536), key=lambda at: self.written(f, at))
                f.seek(older)
                f.write(b"sluice-worker-1 77 9000\n12")
        self.rises(rows)

    def written(self, f, at):
        f.seek(at)
        return int((f.read(65536).split(b"\n") + [b"0"])[1].split()[0])  # a place that is not written yet: 0

    def test_damaged_and_copied_files_are_refused(self):
        file, copy = fresh("worker"), fresh("copy")
        with self.gateway(file) as server:
            proxy(server).id.next()
        shutil.copy(file, copy)
        with self.assertRaisesRegex(RuntimeError, "is a copy of one that keeps worker ids"):
            self.gateway(copy)
        self.gateway(copy, more="accept_copy = true\n").stop()
        with open(copy, "wb") as f:
            f.write(b"something else")
        with self.assertRaisesRegex(RuntimeError, "is damaged"):
            self.gateway(copy)

    def test_what_it_does_not_keep_is_refused(self):
        with self.gateway(fresh("worker"), 100) as server:
            self.fault("worker id 100 is none of the space 'js'", proxy(server).id.next, {"space": "js"})
            self.fault("keeps nothing but the mark", proxy(server).id.create, "a")
            self.fault("keeps nothing but the mark", proxy(server).id.sequence, "a")
        with self.assertRaisesRegex(RuntimeError, "worker id 1024 is none of the space 'main'"):
            self.gateway(fresh("worker"), 1024)
        with self.assertRaisesRegex(RuntimeError, "names no worker id"):
            self.gateway(fresh("worker"), "x")


class TortureWithoutAStore(Torture):
    """Each gateway has a worker id and a file of its own."""

    def setUp(self):
        self.addCleanup(setattr, id_cases, "store", id_cases.store)
        id_cases.store = Workers()


class Workers(World):
    shares = False

    def __init__(self):
        super().__init__(None)
        self.files = {}

    def gateway(self, more="", environment=None, number=0):
        file = self.files.setdefault(number, fresh("worker"))
        return gateway(file, f'backend = "worker:{number}"\n{more}', environment=environment)


if __name__ == "__main__":
    unittest.main()
