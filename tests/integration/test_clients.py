"""The XML-RPC clients of other languages, as their users install them: each calls add, reads a fault, and sends what it sends."""

import os
import shutil
import subprocess
import unittest

from gateway import Gateway

NODE_MODULES = os.path.join(os.environ["SLUICE_SOURCE"], "tests/integration/node/node_modules")


def setUpModule():
    global gateway
    gateway = Gateway()


def tearDownModule():
    assert gateway.stop() == 0


def run(*command, **environment):
    if not shutil.which(command[0]):
        raise AssertionError(f"{command[0]} is not installed; scripts/test installs it")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ, **environment))
    return done.stdout + done.stderr


class Clients(unittest.TestCase):
    def test_curl(self):
        body = "<methodCall><methodName>add</methodName><params><param><value><i4>3</i4></value></param><param><value><int>4</int></value></param></params></methodCall>"
        self.assertIn("<int>7</int>", run("curl", "-s", gateway.url, "-H", "Content-Type: text/xml", "-d", body))
        self.assertIn("<int>7</int>", run("curl", "-s", "--compressed", gateway.url + "/RPC2", "-d", body))
        self.assertIn("405", run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", gateway.url))

    def test_curl_sends_a_large_body_after_100_continue(self):
        large = "<methodCall><methodName>echo</methodName><params><param><value>" + "x" * 2_000_000 + "</value></param></params></methodCall>"
        path = os.path.join(gateway.folder.name, "large.xml")
        with open(path, "w") as f:
            f.write(large)
        self.assertIn("x" * 2_000_000, run("curl", "-s", gateway.url, "-H", "Expect: 100-continue", "--data-binary", "@" + path))

    def test_the_xmlrpc_tool_of_xmlrpc_c(self):
        self.assertIn("7", run("xmlrpc", gateway.url, "add", "i/3", "i/4"))
        self.assertIn("division by zero", run("xmlrpc", gateway.url, "divide", "i/1", "i/0"))

    def test_node(self):
        script = f"""
            const client = require("xmlrpc").createClient({{ url: "{gateway.url}/" }});
            client.methodCall("add", [3, 4], (e, sum) => {{
              console.log(sum);
              client.methodCall("echo", [[1.5, "é😀", true, new Date(Date.UTC(2026, 0, 2)), {{ a: [Buffer.from("hi")] }}]], (e, v) => {{
                console.log(JSON.stringify(v));
                client.methodCall("divide", [1, 0], (e) => console.log(e.faultCode, e.faultString));
              }});
            }});"""
        lines = run("node", "-e", script, NODE_PATH=NODE_MODULES).splitlines()
        self.assertEqual(lines[0], "7")
        self.assertIn('[1.5,"é😀",true,', lines[1])
        self.assertEqual(lines[2], "-32500 ZeroDivisionError: division by zero")

    def test_ruby(self):
        script = """
            require "xmlrpc/client"
            c = XMLRPC::Client.new2(ARGV[0])
            p c.call("add", 3, 4)
            p c.multicall(["add", 1, 2], ["echo", "é😀"])
            begin c.call("divide", 1, 0) rescue puts $!.faultCode, $!.faultString end"""
        self.assertEqual(run("ruby", "-W0", "-e", script, gateway.url + "/", LANG="C.UTF-8").splitlines(), ["7", '[3, "é😀"]', "-32500", "ZeroDivisionError: division by zero"])

    def test_perl_rpc_xml(self):
        script = """
            my $c = RPC::XML::Client->new($ARGV[0]);
            print $c->send_request("add", 3, 4)->value, "\\n";
            print $c->send_request("divide", 1, 0)->code, "\\n";
            print join(",", @{$c->send_request("echo", RPC::XML::array->new(1, "two"))->value}), "\\n";"""
        self.assertEqual(run("perl", "-MRPC::XML::Client", "-e", script, gateway.url).splitlines(), ["7", "-32500", "1,two"])

    def test_perl_xml_rpc_fast(self):
        self.assertEqual(run("perl", "-MXML::RPC::Fast", "-e", 'print XML::RPC::Fast->new($ARGV[0])->call("add", 3, 4)', gateway.url), "7")

    def test_php(self):
        script = """
            function call($url, ...$call) {
              $request = xmlrpc_encode_request(array_shift($call), $call, ["encoding" => "UTF-8", "escaping" => "markup"]);
              $context = stream_context_create(["http" => ["method" => "POST", "header" => "Content-Type: text/xml", "content" => $request]]);
              return xmlrpc_decode(file_get_contents($url, false, $context), "UTF-8");
            }
            echo call($argv[1], "add", 3, 4), "\\n", call($argv[1], "echo", "é😀"), "\\n", call($argv[1], "divide", 1, 0)["faultCode"], "\\n";"""
        self.assertEqual(run("php8.2", "-r", script, gateway.url).splitlines(), ["7", "é😀", "-32500"])


if __name__ == "__main__":
    unittest.main()
