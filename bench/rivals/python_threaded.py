"""Rival: the same `add`, and a `query` on SQLite, on Python's own server, threaded and with keepalive, its best form."""

import socketserver
import sqlite3
import sys
import threading
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer


class Handler(SimpleXMLRPCRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


class Server(socketserver.ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True
    request_queue_size = 1024


server = Server(("127.0.0.1", int(sys.argv[1])), Handler, logRequests=False)
server.register_function(lambda a, b: a + b, "add")
own = threading.local()  # a thread for each connection, and a handle for each thread


def query(statement):
    if not hasattr(own, "db"):
        own.db = sqlite3.connect(":memory:")
    return own.db.execute(statement).fetchall()


server.register_function(query)
server.serve_forever()
