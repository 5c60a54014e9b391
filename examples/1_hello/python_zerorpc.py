"""zerorpc from Python.    python3 python_zerorpc.py [ENDPOINT]

With zerorpc installed its own client is used; else the small one beside this file.
"""

import sys

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:4243"
try:
    import zerorpc

    c = zerorpc.Client(endpoint)
except ImportError:
    from zerorpc_client import Client

    c = Client(endpoint)
print(c.add(88, 77))
for row in c("sql.stream", "SELECT 1 UNION ALL SELECT 2"):
    print(row)
