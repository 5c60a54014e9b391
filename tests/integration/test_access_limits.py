"""What a caller may use: calls, rows, bytes, time, and what he holds open."""

import threading
import time
import unittest
import xmlrpc.client

from access_cases import CONFIG, as_user, setUpModule, tearDownModule, world  # noqa: F401
from cases import DEADLINE, NOT_FOUND, OVERLOADED, TOO_LARGE, CodeCase
from gateway import Gateway, wait_for
from zerorpc_client import Client, RemoteError


class Limits(CodeCase):
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


class Shares(CodeCase):
    def test_no_user_holds_more_than_half_of_the_cursors(self):
        with Gateway(config=CONFIG.format(folder=world.folder).replace("[sql]", "[sql]\ncursors = 3")) as gateway:
            all_, reader = (xmlrpc.client.ServerProxy(gateway.url, headers=[("Authorization", "Bearer " + world.tokens[who])]) for who in ("all", "reader"))
            with all_, reader:
                held = [all_.sql.open("SELECT 1") for _ in range(2)]
                self.fault(OVERLOADED, all_.sql.open, "SELECT 1")
                self.assertEqual(reader.sql.fetch(reader.sql.open("SELECT 1"))["rows"], [[1]])
                self.assertIs(all_.sql.close(held[0]), True)
                self.assertEqual(all_.sql.fetch(all_.sql.open("SELECT 2"))["rows"], [[2]])


class LimitsOfStreams(CodeCase):
    """Of a caller over zerorpc, where a stream is answered long before it ends."""

    def setUp(self):
        self.gateway = Gateway(config=CONFIG.format(folder=world.folder).replace('anonymous = ["nothing"]', 'anonymous = ["few"]'))
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
        with xmlrpc.client.ServerProxy(self.gateway.url, headers=[("Authorization", "Bearer " + world.tokens["all"])]) as owner:
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


if __name__ == "__main__":
    unittest.main()
