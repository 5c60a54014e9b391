"""A write with a key happens once: its answer is cut off after each byte, on the way to the caller and on the way from the database, and
the call is repeated through the other gateway. A read whose answer is cut off is asked again, and never answered with less."""

import http.client
import os
import sys
import unittest
import xml.parsers.expat
import xmlrpc.client

SOURCE = os.environ["SLUICE_SOURCE"]
sys.path += [os.path.join(SOURCE, "tests/clusters"), os.path.join(SOURCE, "tests/chaos")]

import postgres
from gate import Gate
from gateway import Gateway, wait_for

ROUNDS = 1000  # on each of the two ways


class Once(xmlrpc.client.Transport):
    """Python's transport, which would repeat a call by itself when its connection dies."""

    def request(self, *args, **kwargs):
        return self.single_request(*args, **kwargs)


class ExactlyOnce(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Postgres(replicas=0, fsync=False).__enter__()
        cls.database_gate = Gate(cls.cluster.node_port(0))
        behind_gate = f"postgresql://app@127.0.0.1:{cls.database_gate.port}/app"
        cls.gateways = [Gateway(data=behind_gate), Gateway(data=cls.cluster.url())]
        cls.caller_gate = Gate(cls.gateways[0].port)
        cls.other = xmlrpc.client.ServerProxy(cls.gateways[1].url)
        cls.other.sql.execute("CREATE TABLE event(id text, n bigint GENERATED ALWAYS AS IDENTITY)")

    @classmethod
    def tearDownClass(cls):
        cls.other("close")()
        for gateway in cls.gateways:
            gateway.stop()
        cls.caller_gate.close()
        cls.database_gate.close()
        cls.cluster.destroy()

    def call(self, through, key):
        with xmlrpc.client.ServerProxy(through, transport=Once()) as g:
            return g.sql.execute("INSERT INTO event(id) VALUES (?) RETURNING n", [key], {"key": key, "timeout_ms": 5000})

    def rounds(self, name, prepare, through, settle):
        cut = answered = 0
        for i in range(ROUNDS):
            key = f"{name} {i}"
            prepare(i)
            first = None
            try:
                first = self.call(through, key)
                answered += 1
            except (OSError, http.client.HTTPException, xmlrpc.client.Error, xml.parsers.expat.ExpatError):
                cut += 1
            settle()
            again = self.call(self.gateways[1].url, key)
            if first is not None:
                self.assertEqual(again["rows"], first["rows"], key)
        rows = self.cluster.sql(0, f"SELECT count(*), count(DISTINCT id) FROM event WHERE id LIKE '{name} %'")
        self.assertEqual(rows, f"{ROUNDS}|{ROUNDS}")
        return cut, answered

    def test_when_the_answer_to_the_caller_is_cut_at_each_byte(self):
        url = f"http://127.0.0.1:{self.caller_gate.port}"
        length = 900  # of an answer with its headers, about
        cut, _ = self.rounds("caller", lambda i: self.caller_gate.cut_after(bytes_to_client=i % length, reset=i % 2 == 0), url, lambda: self.caller_gate.heal())
        self.assertGreater(cut, ROUNDS // 2)

    def test_when_the_answers_of_the_database_are_cut_at_each_byte(self):
        cut, answered = self.rounds("database", lambda i: self.database_gate.cut_after(bytes_to_client=i % 1500, reset=i % 2 == 0), self.gateways[0].url, lambda: self.database_gate.heal())
        # The gateway repeats what a key guards by itself, so most callers never hear of it.
        self.assertGreater(answered, ROUNDS // 2)
        self.assertGreater(self.database_gate.cuts, ROUNDS // 5)

    def test_when_the_answers_to_reads_are_cut_at_each_byte(self):
        self.other.sql.execute("CREATE TABLE known(id int PRIMARY KEY, name text)")
        self.other.sql.execute("INSERT INTO known SELECT n, 'name ' || n FROM generate_series(1, 3) AS n")
        before = self.database_gate.cuts
        with xmlrpc.client.ServerProxy(self.gateways[0].url) as g:
            for i in range(ROUNDS // 2):
                self.database_gate.cut_after(bytes_to_client=i % 500, reset=i % 2 == 0)
                answer = g.sql.query("SELECT id, name FROM known WHERE id <= ? ORDER BY id", [3])
                self.database_gate.heal()
                self.assertEqual(answer["rows"], [[n, f"name {n}"] for n in (1, 2, 3)], f"round {i}: {answer}")
        self.assertGreater(self.database_gate.cuts - before, ROUNDS // 10)

    def test_a_gateway_that_could_not_ask_for_the_secret_does_not_make_one_up(self):
        self.cluster.sql(0, "DROP TABLE sluice_secret")
        with Gate(self.cluster.node_port(0)) as gate:
            gate.refuse(after=2)  # the looks and the question come through, what it would write does not
            with Gateway(data=f"postgresql://app@127.0.0.1:{gate.port}/app") as late, xmlrpc.client.ServerProxy(late.url) as g:
                wait_for(lambda: gate.accepted >= 4, "it to try and leave a secret")
                with Gateway(data=self.cluster.url()) as first, xmlrpc.client.ServerProxy(first.url) as f:
                    token = f.sql.execute("CREATE TABLE sealed(id int)")["token"]
                gate.heal()
                self.assertEqual(g.sql.query("SELECT count(*) FROM sealed", [], {"after": token})["rows"], [[0]])


if __name__ == "__main__":
    unittest.main()
