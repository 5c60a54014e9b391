"""Python's own xmlrpc.client: nothing to install.    python3 python_xmlrpc.py [URL]"""

import sys
import xmlrpc.client

g = xmlrpc.client.ServerProxy(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:4242")
print(g.add(3, 4))
try:
    g.divide(1, 0)
except xmlrpc.client.Fault as fault:
    print(fault.faultString)
