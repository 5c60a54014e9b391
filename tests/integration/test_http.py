"""HTTP/1.1 as it is on the wire, by raw sockets: what clients send, and what no good client sends."""

import gzip
import socket
import struct
import unittest
import zlib

from gateway import Gateway, wait_for

BODY = b"<methodCall><methodName>add</methodName><params><param><value><int>3</int></value></param><param><value><int>4</int></value></param></params></methodCall>"


def setUpModule():
    global gateway
    gateway = Gateway(config="[limits]\nheader_ms = 1500\nbody_ms = 1500\n")


def tearDownModule():
    assert gateway.stop() == 0


def post(body=BODY, path="/RPC2", version="1.1", **headers):
    lines = [f"POST {path} HTTP/{version}", "Host: x"]
    headers.setdefault("Content_Length", str(len(body)))
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    def __init__(self, *sent):
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), 20)
        self.buffer = b""
        self.send(*sent)

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)
        return self

    def answer(self, head=False):
        """(status, headers, body) of the next answer."""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        top, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(lines[0].split()[1]), headers, body

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError(f"closed with {self.buffer!r}")
        self.buffer += got

    def closed(self):
        """True when the server has said all and closed in good order; a reset raises."""
        return self.buffer == b"" and self.socket.recv(1) == b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def seven(answer):
    status, _, body = answer
    return status == 200 and b"<int>7</int>" in body


class Served(unittest.TestCase):
    def test_keepalive(self):
        with Connection() as c:
            for _ in range(50):
                self.assertTrue(seven(c.send(post()).answer()))

    def test_pipelining_answers_in_order(self):
        calls = [BODY.replace(b">3<", b">%d<" % n) for n in range(100)]
        with Connection(b"".join(post(call) for call in calls)) as c:
            for n in range(100):
                self.assertIn(b"<int>%d</int>" % (n + 4), c.answer()[2])

    def test_a_slow_call_holds_back_what_was_pipelined_behind_it(self):
        slow = b"<methodCall><methodName>probe.sleep</methodName><params><param><value><double>0.2</double></value></param></params></methodCall>"
        with Connection(post(slow) + post()) as c:
            self.assertIn(b"slept", c.answer()[2])
            self.assertTrue(seven(c.answer()))

    def test_byte_by_byte(self):
        with Connection() as c:
            request = post()
            for i in range(len(request)):
                c.send(request[i:i + 1])
            self.assertTrue(seven(c.answer()))

    def test_chunked_bodies(self):
        for size in (1, 7, 1000):
            chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(BODY[i:i + size]), BODY[i:i + size]) for i in range(0, len(BODY), size)) + b"0\r\nTrailer: x\r\n\r\n"
            with Connection(post(chunks, Content_Length=None, Transfer_Encoding="chunked") + post()) as c:
                self.assertTrue(seven(c.answer()))
                self.assertTrue(seven(c.answer()))

    def test_expect_100_continue(self):
        with Connection(post(b"", Content_Length=str(len(BODY)), Expect="100-continue")) as c:
            self.assertEqual(c.answer()[0], 100)
            self.assertTrue(seven(c.send(BODY).answer()))

    def test_http_1_0(self):
        with Connection(post(version="1.0")) as c:
            status, headers, _ = c.answer()
            self.assertEqual((status, headers["connection"]), (200, "close"))
            self.assertTrue(c.closed())
        with Connection(post(version="1.0", Connection="keep-alive")) as c:
            self.assertEqual(c.answer()[1]["connection"], "keep-alive")
            self.assertTrue(seven(c.send(post(version="1.0")).answer()))

    def test_connection_close(self):
        with Connection(post(Connection="close")) as c:
            self.assertTrue(seven(c.answer()))
            self.assertTrue(c.closed())

    def test_a_half_closed_client_gets_its_answer(self):
        slow = b"<methodCall><methodName>probe.sleep</methodName><params><param><value><double>0.2</double></value></param></params></methodCall>"
        with Connection(post(slow)) as c:
            c.socket.shutdown(socket.SHUT_WR)
            self.assertIn(b"slept", c.answer()[2])

    def test_zipped_both_ways(self):
        big = BODY.replace(b"add", b"echo").replace(b"<param><value><int>3</int></value></param>", b"").replace(b"<int>4</int>", b"<string>" + b"x" * 5000 + b"</string>")
        for packed, name in [(gzip.compress(big), "gzip"), (zlib.compress(big), "deflate"), (gzip.compress(big[:100]) + gzip.compress(b"") + gzip.compress(big[100:]), "gzip")]:
            with Connection(post(packed, Content_Encoding=name, Accept_Encoding="br, gzip;q=0.5")) as c:
                status, headers, body = c.answer()
                self.assertEqual((status, headers["content-encoding"]), (200, "gzip"))
                self.assertIn(b"x" * 5000, gzip.decompress(body))
        for refused in ("gzip;q=0", "identity", "br"):
            with Connection(post(big, Accept_Encoding=refused)) as c:
                self.assertNotIn("content-encoding", c.answer()[1])

    def test_methods_and_paths(self):
        with Connection(b"GET /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n") as c:
            status, headers, body = c.answer()
            self.assertEqual((status, headers["allow"]), (405, "POST, OPTIONS"))
            self.assertIn(b"POST", body)
            status, headers, _ = c.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").answer(head=True)
            self.assertEqual(status, 405)
            status, headers, body = c.send(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").answer()
            self.assertEqual((status, headers["allow"], body), (204, "POST, OPTIONS", b""))
            self.assertEqual(c.send(post(path="/other")).answer()[0], 404)
            self.assertTrue(seven(c.send(post(path="/")).answer()))
            self.assertTrue(seven(c.send(post(path="/RPC2?x=1")).answer()))
            for absolute in ("http://h/RPC2", "HTTP://h:4242/", "http://h", "https://h/RPC2?x=1", "http://h?x=1"):
                self.assertTrue(seven(c.send(post(path=absolute)).answer()), absolute)
            self.assertEqual(c.send(post(path="http://h/other")).answer()[0], 404)
            self.assertEqual(c.send(post(path="ftp://h/RPC2")).answer()[0], 404)
            self.assertEqual(c.send(b"GET http://h/health HTTP/1.1\r\nHost: x\r\n\r\n").answer()[0], 200)

    def test_an_empty_line_before_a_request(self):
        with Connection(b"\r\n" + post()) as c:
            self.assertTrue(seven(c.answer()))


class Refused(unittest.TestCase):
    def refused(self, status, *sent):
        with Connection(*sent) as c:
            got, headers, body = c.answer()
            self.assertEqual(got, status, (sent[0][:80], body))
            self.assertEqual(headers["connection"], "close")
            self.assertTrue(body.endswith(b"\n") and len(body) > 10, body)
            self.assertTrue(c.closed())
        with Connection(post()) as good:
            self.assertTrue(seven(good.answer()))

    def test_malformed(self):
        for status, request in [
            (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32 + b"\r\n\r\n"),
            (400, b"POST /RPC2\r\n\r\n"),
            (505, b"POST /RPC2 HTTP/9.9\r\nHost: x\r\n\r\n"),
            (400, b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"),  # no Host
            (400, post(Host="y")),
            (400, post(Content_Length="-1")),
            (400, post(Content_Length="18446744073709551616")),
            (400, post(Content_Length="abc")),
            (400, post().replace(b"Host: x\r\n", b"Host: x\r\nContent-Length: 5\r\n")),
            (400, post(Transfer_Encoding="chunked")),  # both
            (400, post(X="a\x00b")),
            (400, b"POST / HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n"),
            (400, b"POST / HTTP/1.1\nHost: x\n\n"),
            (400, post(b"zz\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked")),
            (501, post(Content_Length=None, Transfer_Encoding="gzip, chunked")),
            (411, post(b"", Content_Length=None)),
            (413, post(b"", Content_Length="10737418240")),
            (415, post(Content_Encoding="br")),
            (417, post(Expect="200-ok")),
            (431, post(**{f"X_{n}": "y" for n in range(100)})),
            (431, post(X="y" * 40_000)),
            (400, post(b"not gzip", Content_Encoding="gzip")),
            (400, post(gzip.compress(BODY)[:-9], Content_Encoding="gzip")),
            (400, post(gzip.compress(BODY) + b"more", Content_Encoding="gzip")),
            (400, post(zlib.compress(BODY) + zlib.compress(BODY), Content_Encoding="deflate")),
            (413, post(gzip.compress(b" " * 9_000_000) * 2, Content_Encoding="gzip")),
        ]:
            with self.subTest(request[:60]):
                self.refused(status, request)

    def test_what_a_proxy_may_read_otherwise_hides_no_second_request(self):
        hidden = post()
        chunked = dict(Content_Length=None, Transfer_Encoding="chunked")
        twice = gzip.compress(gzip.compress(BODY))
        for status, request in [
            (400, post(b"0\r\n\r\n" + hidden, version="1.0", Connection="keep-alive", **chunked)),
            (400, post(b"0\r\n\r\n" + hidden, Transfer_Encoding="chunked")),
            (400, post(b"0\r\n\r\n" + hidden).replace(b"Host: x\r\n", b"Host: x\r\nTransfer-Encoding: chunked\r\n")),
            (400, post(b"%x\n%s\n0\n\n" % (len(BODY), BODY) + hidden, **chunked)),
            (400, post(b"%x\n%s\n0\n\n" % (len(BODY), BODY), **chunked)),
            (400, post(b"%x\r\n%s\r\n0\n\n" % (len(BODY), BODY) + hidden, **chunked)),
            (400, post(b'%x;a="\n"\r\n%s\r\n0\r\n\r\n' % (len(BODY), BODY) + hidden, **chunked)),
            (415, post(twice, Content_Encoding="gzip, gzip") + hidden),
            (415, post(twice, Content_Encoding="gzip").replace(b"Host: x\r\n", b"Host: x\r\nContent-Encoding: gzip\r\n") + hidden),
            (415, post(gzip.compress(BODY), Content_Encoding="gzip").replace(b"Host: x\r\n", b"Host: x\r\nContent-Encoding: gzip\r\n") + hidden),
        ]:
            with self.subTest(request[:200]):
                self.refused(status, request)

    def test_a_request_cut_in_the_middle(self):
        for cut in (b"P", b"POST / HTTP/1.1\r\nHo", post()[:-10], post(b"5\r\n<me", Content_Length=None, Transfer_Encoding="chunked")):
            with Connection(post(), cut) as c:
                self.assertTrue(seven(c.answer()))
                c.socket.shutdown(socket.SHUT_WR)
                status, _, body = c.answer()
                self.assertEqual(status, 400)
                self.assertIn(b"the request ends", body)
                self.assertTrue(c.closed())

    def test_a_zip_bomb(self):
        packer = zlib.compressobj(9, wbits=31)
        bomb = packer.compress(b" " * 400_000_000) + packer.flush()
        before = gateway.rss_kb()
        self.refused(413, post(bomb, Content_Encoding="gzip"))
        self.assertLess(gateway.rss_kb() - before, 100_000)

    def test_a_body_of_100_mb_is_not_swallowed(self):
        with Connection(post(b"", Content_Length="100000000")) as c:
            self.assertEqual(c.answer()[0], 413)

    def test_headers_and_bodies_that_never_end(self):
        with Connection(b"POST / HTTP/1.1\r\nHo") as headers, Connection(post(b"<meth", Content_Length="100")) as body:
            self.assertEqual(headers.answer()[0], 408)
            self.assertEqual(body.answer()[0], 408)


class Crowds(unittest.TestCase):
    def test_slow_ones_do_not_hold_up_the_good_one(self):
        slow = [Connection(b"POST / HTTP/1.1\r\nHost: x\r\n") for _ in range(500)]
        with Connection() as good:
            for _ in range(200):
                self.assertTrue(seven(good.send(post()).answer()))
        for c in slow:
            self.assertEqual(c.answer()[0], 408)
            c.socket.close()

    def test_a_thousand_idle_connections(self):
        idle = [Connection(post()) for _ in range(1000)]
        for c in idle:
            self.assertTrue(seven(c.answer()))
        for c in idle[::50]:
            self.assertTrue(seven(c.send(post()).answer()))
        for c in idle:
            c.socket.close()

    def test_resets_in_the_middle_of_everything(self):
        for cut in (1, 20, 60, 120, None):
            for _ in range(20):
                c = Connection(post()[:cut])
                c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.socket.close()
        with Connection(post()) as good:
            self.assertTrue(seven(good.answer()))

    def test_an_answer_that_nobody_reads_is_cut_and_bounded(self):
        big = b"<methodCall><methodName>sql.query</methodName><params><param><value>SELECT hex(zeroblob(4000000))</value></param></params></methodCall>"
        before = gateway.rss_kb()
        stuck = [Connection(post(big) * 20) for _ in range(5)]
        with Connection(post()) as good:
            self.assertTrue(seven(good.answer()))
        wait_for(lambda: gateway.rss_kb() - before < 400_000, "memory of unread answers to stay bounded")
        for c in stuck:
            c.socket.close()


if __name__ == "__main__":
    unittest.main()
