"""Reads documents as Python's xmlrpc.client does. In: FILE of `length, newline, bytes`. Out: a line each, the call in one
canonical form, or "refused"."""

import datetime
import struct
import sys
import xmlrpc.client


def text(s):
    return s.encode("utf-8").hex()


def canonical(v):
    if v is None:
        return "n"
    if isinstance(v, bool):
        return f"b{int(v)}"
    if isinstance(v, int):
        return f"i{v}"
    if isinstance(v, float):
        return "dnan" if v != v else "d" + struct.pack(">d", v).hex()
    if isinstance(v, str):
        return "s" + text(v)
    if isinstance(v, bytes):
        return "x" + v.hex()
    if isinstance(v, datetime.datetime):
        return f"t{v.year:04}" + v.strftime("%m%dT%H:%M:%S")
    if isinstance(v, (list, tuple)):
        return "[" + ",".join(map(canonical, v)) + "]"
    return "{" + ",".join(k + ":" + v for k, v in sorted((text(k), canonical(v)) for k, v in v.items())) + "}"


def opinion(document):
    try:
        params, method = xmlrpc.client.loads(document, use_builtin_types=True)
        return "refused" if method is None else text(method.strip(" \t\r\n")) + canonical(params)
    except Exception:  # whatever it raises, it did not take the document
        return "refused"


with open(sys.argv[1], "rb") as file:
    while line := file.readline():
        print(opinion(file.read(int(line))))
