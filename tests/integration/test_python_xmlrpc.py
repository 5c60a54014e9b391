"""Python's own xmlrpc.client against the gateway: values, faults, introspection, multicall, keepalive."""

import datetime
import http.client
import math
import threading
import unittest
import xmlrpc.client

from gateway import Gateway


def setUpModule():
    global gateway
    gateway = Gateway()


def tearDownModule():
    assert gateway.stop() == 0


def proxy(**options):
    return xmlrpc.client.ServerProxy(gateway.url, allow_none=True, **options)


class Values(unittest.TestCase):
    def there_and_back(self, value, **options):
        with proxy(**options) as g:
            return g.echo(value)

    def test_the_seed_snippet(self):
        self.assertEqual(xmlrpc.client.ServerProxy(f"http://localhost:{gateway.port}").add(3, 4), 7)

    def test_every_type_comes_back(self):
        for value in [0, -1, 2**31 - 1, -2**31, True, False, None, 1.5, -0.0, 1e22, 0.1, 5e-324, "", "text", " white \n space\t", "é世界😀",
                      "<&>]]>'\"", [], [1, [2, [3]]], {}, {"a": {"b": [None]}, "key with <&>": 1}]:
            self.assertEqual(self.there_and_back(value), value, repr(value))

    def test_a_double_keeps_every_bit(self):
        for value in [0.1 + 0.2, math.pi, 1.7976931348623157e308, 2.2250738585072014e-308, 123456789.123456789]:
            self.assertEqual(self.there_and_back(value), value)
        self.assertTrue(math.isnan(self.there_and_back(math.nan)))
        self.assertEqual(self.there_and_back(math.inf), math.inf)

    def test_builtin_types(self):
        when = datetime.datetime(2026, 11, 23, 14, 5, 6)
        self.assertEqual(self.there_and_back(when, use_builtin_types=True), when)
        self.assertEqual(self.there_and_back(b"\x00\xff\r\n", use_builtin_types=True), b"\x00\xff\r\n")
        self.assertEqual(self.there_and_back(xmlrpc.client.Binary(b"abc")).data, b"abc")

    def test_a_carriage_return_comes_back_from_the_database(self):
        with proxy() as g:
            self.assertEqual(g.sql.query("SELECT 'a' || char(13) || char(10) || 'b'")["rows"], [["a\r\nb"]])

    def test_integers_beyond_32_bits_come_as_i8(self):
        with proxy() as g:
            self.assertEqual(g.sql.query("SELECT 9223372036854775807, -9223372036854775808")["rows"], [[2**63 - 1, -2**63]])

    def test_text_that_xml_cannot_carry_is_a_fault_that_says_where(self):
        with proxy() as g:
            with self.assertRaises(xmlrpc.client.Fault) as caught:
                g.sql.query("SELECT 1, 'a' || char(1) || 'b'")
            self.assertEqual(caught.exception.faultCode, -32702)
            self.assertIn("result['rows'][0][1]", caught.exception.faultString)
            self.assertEqual(g.add(1, 2), 3)

    def test_a_large_answer_comes_zipped(self):
        with proxy() as g:
            self.assertEqual(g.echo("x" * 1_000_000), "x" * 1_000_000)


class Faults(unittest.TestCase):
    def fault(self, method, *args):
        with proxy() as g, self.assertRaises(xmlrpc.client.Fault) as caught:
            getattr(g, method)(*args)
        return caught.exception.faultCode, caught.exception.faultString

    def test_codes_and_words(self):
        for (method, *args), code, words in [
            (("nosuch",), -32601, "'nosuch' is not served here"),
            (("ad", 1, 2), -32601, "did you mean 'add'?"),
            (("add", 1), -32602, "missing 1 required positional argument: 'b'"),
            (("add", 1, 2, 3), -32602, "takes 2 positional arguments but 3 were given"),
            (("add", 1, "x"), -32602, "argument 'b' must be number, not string 'x'"),
            (("divide", 1, 0), -32500, "ZeroDivisionError: division by zero"),
            (("probe.fail",), -32500, "RuntimeError: probe"),
            (("probe.fail", "KeyError", "'k'"), -32500, "KeyError: 'k'"),
            (("probe.fail", "", ""), -32500, "RuntimeError"),
            (("probe.count_then_fail", 3), -32500, "RuntimeError: probe"),
            (("sql.__class__",), -32601, "__class__"),
            (("sql.__init__.__globals__",), -32601, "not served"),
            (("echo", "\x00"), -32702, "control character"),
        ]:
            got = self.fault(method, *args)
            self.assertEqual(got[0], code, (method, got))
            self.assertIn(words, got[1])

    def test_a_stream_is_answered_as_an_array(self):
        with proxy() as g:
            self.assertEqual(g.probe.count(5), [0, 1, 2, 3, 4])
            with self.assertRaisesRegex(xmlrpc.client.Fault, "zerorpc, which streams"):
                g.probe.count(2**31 - 1)


class TooMuch(unittest.TestCase):
    """http.client sends all of a body before it reads: it must not find the connection cut."""

    def test_a_body_above_the_limit_is_413_and_no_dead_connection(self):
        for size in (17_000_000, 30_000_000):
            with self.subTest(size), proxy() as g:
                with self.assertRaises(xmlrpc.client.ProtocolError) as caught:
                    g.echo("x" * size)
                self.assertEqual(caught.exception.errcode, 413)
                self.assertEqual(g.add(1, 2), 3)

    def test_the_same_by_http_client_and_in_chunks(self):
        for chunked in (False, True):
            client = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
            client.request("POST", "/RPC2", (b"x" * 1_000_000 for _ in range(30)), {} if chunked else {"Content-Length": "30000000"}, encode_chunked=chunked)
            answer = client.getresponse()
            self.assertEqual(answer.status, 413)
            self.assertIn(b"limits.body_bytes", answer.read())
            client.close()


class Introspection(unittest.TestCase):
    def test_lists_signs_and_helps(self):
        with proxy() as g:
            methods = g.system.listMethods()
            self.assertEqual(methods, sorted(methods))
            for method in methods:
                self.assertTrue(g.system.methodHelp(method), method)
                self.assertTrue(all(len(row) >= 1 for row in g.system.methodSignature(method)), method)
            self.assertEqual(g.system.methodSignature("add"), [["int", "int", "int"], ["double", "double", "double"]])
            self.assertEqual(g.system.methodSignature("sql.query"),
                             [["struct", "string"], ["struct", "string", "any"], ["struct", "string", "any", "struct"]])
            self.assertTrue(g.system.methodExist("add"))
            self.assertFalse(g.system.methodExist("nosuch"))
            self.assertEqual(g.system.getCapabilities()["faults_interop"]["specVersion"], 20010516)

    def test_multicall(self):
        with proxy() as g:
            calls = xmlrpc.client.MultiCall(g)
            calls.add(1, 2)
            calls.divide(1, 0)
            calls.sql.query("SELECT 7")
            calls.probe.sleep(0.05)
            results = calls()
            self.assertEqual(results[0], 3)
            with self.assertRaisesRegex(xmlrpc.client.Fault, "division by zero"):
                results[1]
            self.assertEqual(results[2]["rows"], [[7]])
            self.assertEqual(results[3], "slept")
            with self.assertRaisesRegex(xmlrpc.client.Fault, "at most 1000 calls"):
                g.system.multicall([{"methodName": "add", "params": [1, 2]}] * 1001)

    def test_a_result_that_xml_cannot_carry_costs_its_own_place_in_a_multicall(self):
        with proxy() as g:
            g.sql.execute("CREATE TABLE kept(x)")
            calls = [("sql.execute", ["INSERT INTO kept VALUES (1)"]), ("sql.query", ["SELECT 'a' || char(1)"]), ("echo", ["é"]), ("probe.fail", ["Bad\x7f", "x"]),
                     ("sql.query", ["SELECT \t\r\n\ufdd0"]), ("probe.fail", ["", ""])]
            answers = g.system.multicall([{"methodName": name, "params": params} for name, params in calls])
            self.assertEqual(answers[0][0]["affected"], 1)
            self.assertEqual(answers[1]["faultCode"], -32702)
            self.assertIn("result['rows'][0][0]", answers[1]["faultString"])
            self.assertEqual(answers[2], ["é"])
            self.assertEqual([a["faultCode"] for a in answers[3:]], [-32500, -32020, -32500])
            self.assertEqual(answers[5]["faultString"], "RuntimeError")

    def test_validator1(self):
        with proxy(use_builtin_types=True) as g:
            v = g.validator1
            self.assertEqual(v.arrayOfStructsTest([{"moe": 1, "larry": 2, "curly": 3}, {"curly": -8}]), -5)
            self.assertEqual(v.countTheEntities("<<>&&&''\"\"\"\""), {"ctLeftAngleBrackets": 2, "ctRightAngleBrackets": 1, "ctAmpersands": 3,
                                                                     "ctApostrophes": 2, "ctQuotes": 4})
            self.assertEqual(v.easyStructTest({"moe": 1, "larry": 2, "curly": 3}), 6)
            self.assertEqual(v.echoStructTest({"a": {"b": [1]}}), {"a": {"b": [1]}})
            many = [1, True, "two", 2.5, datetime.datetime(2026, 1, 2), b"six"]
            self.assertEqual(v.manyTypesTest(*many), many)
            self.assertEqual(v.moderateSizeArrayCheck([str(i) for i in range(150)]), "0149")
            self.assertEqual(v.nestedStructTest({"2000": {"04": {"01": {"moe": 1, "larry": 2, "curly": 3}}}}), 6)
            self.assertEqual(v.simpleStructReturnTest(3), {"times10": 30, "times100": 300, "times1000": 3000})


class Together(unittest.TestCase):
    def test_many_clients_never_get_each_others_answers(self):
        wrong = []

        def client(number):
            with proxy() as g:
                for i in range(100):
                    if g.echo([number, i]) != [number, i]:
                        wrong.append((number, i))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
