"""Documents and bodies that mean harm, over HTTP: each is answered with a clear fault, and a good caller beside is served."""

import socket
import unittest
import xmlrpc.client

from beside import unharmed
from gateway import Gateway

BOMB = (b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(10)) + b"]>")


def setUpModule():
    global gateway
    gateway = Gateway()


def tearDownModule():
    assert gateway.stop() == 0


def connect():
    return socket.create_connection(("127.0.0.1", gateway.port), 30)


def read_answer(s):
    """All that comes until the server closes."""
    answer = b""
    while got := s.recv(1 << 20):
        answer += got
    return answer


def post(document):
    with connect() as s:
        s.sendall(b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(document) + document)
        head, _, body = read_answer(s).partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def call(value, method=b"echo"):
    return b"<methodCall><methodName>" + method + b"</methodName><params><param><value>" + value + b"</value></param></params></methodCall>"


def multicall(count, method, *params):
    return xmlrpc.client.dumps(([{"methodName": method, "params": params}] * count,), "system.multicall").encode()


class Documents(unittest.TestCase):
    def fault(self, code, words, document, more_kb=120_000):
        with unharmed(gateway, more_kb):
            status, body = post(document)
            self.assertEqual(status, 200)
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                xmlrpc.client.loads(body)
        self.assertEqual(caught.exception.faultCode, code, caught.exception.faultString)
        self.assertIn(words, caught.exception.faultString)
        self.assertLess(len(caught.exception.faultString), 1000)
        return caught.exception.faultString

    def served(self, document, more_kb=250_000):
        with unharmed(gateway, more_kb):
            status, body = post(document)
        self.assertEqual(status, 200)
        return xmlrpc.client.loads(body, use_builtin_types=True)[0][0]

    def test_nesting(self):
        deep = 200_000
        self.fault(-32016, "more than 64 deep", call(b"<array><data><value>" * deep + b"</value></data></array>" * deep))
        self.fault(-32016, "more than 64 deep", call(b"<struct><member><name>a</name><value>" * deep))
        self.fault(-32600, "expected <methodCall>", b"<a>" * deep)

    def test_entities(self):
        for document in (BOMB + call(b"&k;"), b'<?xml version="1.0"?>' + BOMB + call(b"&k;"), ('\ufeff<?xml version="1.0" encoding="utf-16"?>' + (BOMB + call(b"&k;")).decode()).encode("utf-16-le"),
                         b'<!DOCTYPE m [<!ENTITY a "' + b"a" * 100_000 + b'">]>' + call(b"&a;" * 100_000), b'<!DOCTYPE m [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>' + call(b"x")):
            self.fault(-32700, "DOCTYPE", document, more_kb=30_000)

    def test_an_external_entity_is_not_fetched(self):
        text = self.fault(-32700, "DOCTYPE", b'<!DOCTYPE m [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + call(b"&e;"))
        self.assertNotIn("root", text)
        self.fault(-32700, "", call(b"&undefined;"))

    def test_too_many_of_anything(self):
        self.fault(-32016, "more than 16 attributes", b"<methodCall " + b" ".join(b'a%d=""' % i for i in range(1_300_000)) + b"></methodCall>")
        self.fault(-32016, "more than 1000000 values", call(b"<array><data>" + b"<value/>" * 1_900_000 + b"</data></array>"))
        self.fault(-32601, "nnn", b"<methodCall><methodName>" + b"n" * 1_000_000 + b"</methodName></methodCall>")
        self.fault(-32600, "<int>", call(b"<int>" + b"9" * 15_000_000 + b"</int>"))
        self.fault(-32600, "base64", call(b"<base64>" + b"A===" * 3_900_000 + b"</base64>"))

    def test_what_is_large_but_right(self):
        members = b"".join(b"<member><name>%d</name><value>x</value></member>" % i for i in range(100_000))
        self.assertEqual(len(self.served(call(b"<struct>" + members + b"</struct>"))), 100_000)
        self.assertEqual(self.served(call(b"<struct>" + b"<member><name>k</name><value>x</value></member>" * 300_000 + b"</struct>")), {"k": "x"})
        self.assertEqual(self.served(call(b"&amp;" * 3_000_000)), "&" * 3_000_000)
        self.assertEqual(self.served(b"<!---->" * 2_000_000 + call(b"x")), "x")
        self.assertEqual(self.served(call(b"<string>" + b"<![CDATA[]]>" * 1_200_000 + b"</string>")), "")

    def test_characters(self):
        self.fault(-32702, "", call(b"&#0;"))
        self.fault(-32702, "", call(b"&#xD800;"))
        self.fault(-32702, "UTF-8", call(b"\xff\xfe\xc0\x80"))
        self.fault(-32701, "UTF-7", b'<?xml version="1.0" encoding="utf-7"?>' + call(b"x"))
        self.fault(-32700, "empty", b"")

    def test_small_calls_for_huge_answers(self):
        self.fault(-32016, "those calls have run, the rest have not", multicall(60, "sql.query", "SELECT hex(zeroblob(30000000))"), more_kb=500_000)
        endless = b"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(1000000) FROM n"
        self.fault(-32016, "call over zerorpc, which streams", call(endless, b"sql.stream"), more_kb=250_000)


class Bodies(unittest.TestCase):
    def cut(self, status, words, head, pieces):
        """Sends until the server has had enough; he must say why before he closes."""
        with unharmed(gateway, 60_000), connect() as s:
            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            try:
                for piece in pieces:
                    s.sendall(piece)
                self.fail("all of it was swallowed")
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = s.recv(4096)
        self.assertIn(b" %d " % status, answer.splitlines()[0])
        self.assertIn(words, answer)

    def test_100_mb_that_come_all_the_same(self):
        self.cut(413, b"limits.body_bytes", b"Content-Length: 100000000", (b"x" * 1_000_000 for _ in range(100)))

    def test_chunks_without_end(self):
        self.cut(413, b"limits.body_bytes", b"Transfer-Encoding: chunked", (b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n" for _ in range(1000)))
        self.cut(431, b"limits.header_bytes", b"Transfer-Encoding: chunked", (b"1;" + b"e" * 1_000_000 for _ in range(1000)))

    def test_a_pipeline_whose_answers_nobody_reads(self):
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" * 20_000
        with unharmed(gateway, 30_000):
            crowd = [connect() for _ in range(10)]
            for s in crowd:
                s.settimeout(0.5)
                with self.assertRaises(TimeoutError):  # the server stops reading
                    for _ in range(1000):
                        s.sendall(request)
            for s in crowd:
                s.close()


if __name__ == "__main__":
    unittest.main()
