"""User instructions per call, by callgrind: the slope between a short and a long run, so that the start cancels.

Repeatable to a fraction of a percent, whatever else the machine does. As a test:
    instructions.py --gate CALL MOST     exits 1 when CALL (xmlrpc-add, zerorpc-add, ...) costs more than MOST
"""

import argparse
import json
import re
import socket
import sys
import tempfile

import harness

BODY = (b"<?xml version='1.0'?>\n<methodCall>\n<methodName>add</methodName>\n<params>\n<param>\n<value><int>3</int></value>\n</param>\n"
        b"<param>\n<value><int>4</int></value>\n</param>\n</params>\n</methodCall>\n")
# What Python 3.11's xmlrpc.client sends, headers included.
REQUEST = (b"POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1:4242\r\nAccept-Encoding: gzip\r\nContent-Type: text/xml\r\n"
           b"User-Agent: Python-xmlrpc/3.11\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY))


def xmlrpc_calls(port, count):
    with socket.create_connection(("127.0.0.1", port), 60) as s:
        for _ in range(count):
            s.sendall(REQUEST)
            answer = b""
            while b"</methodResponse>" not in answer:
                got = s.recv(65536)
                if not got:
                    raise RuntimeError("the server closed the connection")
                answer += got
            if b"7</i" not in answer:
                raise RuntimeError(f"wrong answer: {answer!r}")


# Calls over zerorpc: window, method, arguments, and what is called before. With many in flight, as bench/run compares them.
ZERORPC = {
    "zerorpc-add": (1, "add", [3, 4], None),
    "zerorpc-add-64": (64, "add", [3, 4], None),
    "zerorpc-id.next-64": (64, "id.next", [], None),
    "zerorpc-id.segment-64": (64, "id.segment", ["bench"], ["id.create", '"bench"', '{"step": 100000}']),
}


def zerorpc_calls(endpoint, count, kind):
    window, method, arguments, before = ZERORPC[kind]
    if before:
        harness.output([harness.build_dir() / "sluice", "call", endpoint, *before])
    harness.output([harness.build_dir() / "zerorpc_load", "--endpoint", endpoint, "--connections", 1, "--window", window, "--calls", count,
                    "--method", method, "--args", json.dumps(arguments)])


def instructions(run):
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        out = f"{folder}/callgrind"
        wrap = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        server, http, endpoint = harness.sluice(folder, wrap=wrap, pin=False)
        with server:
            run(http, endpoint)
        text = open(out).read()
        return int(re.search(r"^(?:summary|totals): (\d+)", text, re.M).group(1))


def per_call(kind, short=300, long=2300):
    def run(count):
        return lambda http, endpoint: xmlrpc_calls(http, count) if kind == "xmlrpc-add" else zerorpc_calls(endpoint, count, kind)

    return (instructions(run(long)) - instructions(run(short))) / (long - short)


def of(program, what, short, long):
    """Instructions of one turn of a program that is told what to do and how often: xml_codec, classify."""
    def total(times):
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
            harness.output(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", harness.build_dir() / program, what, times])
            return int(re.search(r"^(?:summary|totals): (\d+)", open(f"{folder}/out").read(), re.M).group(1))

    return (total(long) - total(short)) / (long - short)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", nargs=2, metavar=("CALL", "MOST"))
    options = parser.parse_args()
    kinds = [options.gate[0]] if options.gate else ["xmlrpc-add", *ZERORPC]
    failed = False
    for kind in kinds:
        figure = per_call(kind)
        print(f"{kind}: {figure:,.0f} user instructions per call")
        if options.gate and figure > float(options.gate[1]):
            print(f"that is more than the gate of {float(options.gate[1]):,.0f}; find out why with callgrind_annotate, or raise the gate with a reason")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
