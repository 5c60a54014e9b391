"""A write with a key happens once: its answer is cut off after each byte, on the way to the caller and on the way from the database, and
the call is repeated through the other gateway. A read whose answer is cut off is asked again, and never answered with less."""

import concurrent.futures
import http.client
import os
import sys
import unittest
import xml.parsers.expat
import xmlrpc.client

SOURCE = os.environ["SLUICE_SOURCE"]
sys.path += [os.path.join(SOURCE, "tests/clusters"), os.path.join(SOURCE, "tests/chaos")]

import mariadb
import postgres
from gate import Gate
from gateway import Gateway, proxy, wait_for

CALLERS = 4


class Once(xmlrpc.client.Transport):
    """Python's transport, which would repeat a call by itself when its connection dies."""

    def request(self, *args, **kwargs):
        return self.single_request(*args, **kwargs)


class OnceCase(unittest.TestCase):
    """Gateway 0 reaches its database through a gate; gateway 1 is the one by which calls are repeated."""

    make_cluster, counter = None, None  # one of tests/clusters; the type of a column that counts by itself
    # Offsets: more than the bytes that one connection answers to one call.
    write_rounds, write_offsets, read_offsets = None, None, None

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(cls.make_cluster(replicas=0, fsync=False))
        cls.database_gate = cls.enterClassContext(Gate(cls.cluster.node_port(0)))
        through_the_gate = cls.cluster.url().replace(str(cls.cluster.node_port(0)), str(cls.database_gate.port))
        cls.gateways = [cls.enterClassContext(Gateway(data=url)) for url in (through_the_gate, cls.cluster.url())]
        cls.other = cls.enterClassContext(proxy(cls.gateways[1]))
        cls.other.sql.execute(f"CREATE TABLE event(id varchar(100), n {cls.counter})")

    def call(self, through, key):
        with xmlrpc.client.ServerProxy(through, transport=Once()) as g:
            return g.sql.execute("INSERT INTO event(id) VALUES (?) RETURNING n", [key], {"key": key, "timeout_ms": 5000})

    def round(self, key, through, settle):
        """True: the first call was answered."""
        first = None
        try:
            first = self.call(through, key)
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, xml.parsers.expat.ExpatError):
            pass
        settle()
        again = self.call(self.gateways[1].url, key)
        if first is not None:
            self.assertEqual(again["rows"], first["rows"], key)
        return first is not None

    def each_once(self, name, rounds):
        rows = self.cluster.sql(0, f"SELECT count(*), count(DISTINCT id) FROM event WHERE id LIKE '{name} %'")
        self.assertEqual([int(n) for n in rows.replace("|", " ").split()], [rounds, rounds])

    def test_when_the_answer_to_the_caller_is_cut_at_each_byte(self):
        """Several callers, each with a way of its own to the gateway; the offsets are dealt out to them."""
        rounds = 2000
        with Gate(self.gateways[0].port) as whole:
            self.call(f"http://127.0.0.1:{whole.port}", "whole")
        length = whole.bytes_to_client  # of a gate that is closed: who has the answer may be ahead of its count
        self.assertGreaterEqual(rounds, length, f"an answer has {length} bytes, and each is to be the last one once")

        def caller(first):
            with Gate(self.gateways[0].port) as gate:
                for i in range(first, rounds, CALLERS):
                    gate.cut_after(bytes_to_client=i % length, reset=(i + i // length) % 2 == 0)
                    self.round(f"caller {i}", f"http://127.0.0.1:{gate.port}", gate.heal)
                return gate.cuts

        with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
            cuts = sum(pool.map(caller, range(CALLERS)))
        self.each_once("caller", rounds)
        self.assertGreater(cuts, rounds * 9 // 10)

    def test_when_the_answers_of_the_database_are_cut_at_each_byte(self):
        rounds, offsets = self.write_rounds, self.write_offsets
        answered, before = 0, self.database_gate.cuts
        for i in range(rounds):
            self.database_gate.cut_after(bytes_to_client=i % offsets, reset=(i + i // offsets) % 2 == 0)
            answered += self.round(f"database {i}", self.gateways[0].url, self.database_gate.heal)
        self.each_once("database", rounds)
        # The gateway repeats what a key guards by itself, so most callers never hear of it.
        self.assertGreater(answered, rounds // 2)
        self.assertGreater(self.database_gate.cuts - before, rounds // 5)

    def test_when_the_answers_to_reads_are_cut_at_each_byte(self):
        self.other.sql.execute("CREATE TABLE known(id int PRIMARY KEY, name varchar(100))")
        self.other.sql.execute("INSERT INTO known VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        before = self.database_gate.cuts
        with proxy(self.gateways[0]) as g:
            for i in range(500):
                self.database_gate.cut_after(bytes_to_client=i % self.read_offsets, reset=(i + i // self.read_offsets) % 2 == 0)
                answer = g.sql.query("SELECT id, name FROM known WHERE id <= ? ORDER BY id", [3])
                self.database_gate.heal()
                self.assertEqual(answer["rows"], [[1, "one"], [2, "two"], [3, "three"]], f"round {i}: {answer}")
        self.assertGreater(self.database_gate.cuts - before, 100)


class PostgreSql(OnceCase):
    make_cluster, counter = postgres.Postgres, "bigint GENERATED ALWAYS AS IDENTITY"
    write_rounds, write_offsets, read_offsets = 1500, 1500, 500

    def test_a_gateway_that_could_not_ask_for_the_secret_does_not_make_one_up(self):
        for gateway in self.gateways:  # else one of them would leave the secret anew
            with proxy(gateway) as g:
                wait_for(lambda: all(n["position"] for n in g.sql.topology()["nodes"]), "the gateways to have the secret")
        self.cluster.sql(0, "DROP TABLE sluice_secret")
        with Gate(self.cluster.node_port(0)) as gate:
            gate.refuse(after=2)  # the looks and the question come through, what it would write does not
            with Gateway(data=f"postgresql://app@127.0.0.1:{gate.port}/app") as late, xmlrpc.client.ServerProxy(late.url) as g:
                wait_for(lambda: gate.accepted >= 4, "it to try and leave a secret")
                with Gateway(data=self.cluster.url()) as first, xmlrpc.client.ServerProxy(first.url) as f:
                    token = f.sql.execute("CREATE TABLE sealed(id int)")["token"]
                gate.heal()
                self.assertEqual(g.sql.query("SELECT count(*) FROM sealed", [], {"after": token})["rows"], [[0]])


class MariaDb(OnceCase):
    make_cluster, counter = mariadb.MariaDB, "bigint AUTO_INCREMENT PRIMARY KEY"
    write_rounds, write_offsets, read_offsets = 900, 300, 150


del OnceCase  # it has no database of its own
if __name__ == "__main__":
    unittest.main()
