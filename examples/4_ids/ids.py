"""Ids of each kind over XML-RPC.    ids.py [http://127.0.0.1:4242]"""

import sys
import xmlrpc.client

g = xmlrpc.client.ServerProxy(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:4242", allow_none=True, use_builtin_types=True)

# Numbers of 63 bits as texts, for xmlrpc.client sends no int beyond 32 bits. They rise.
first, second = g.id.next(), g.id.next()
print("rises:", int(first) < int(second))

# A thousand in one call, and what one of them says.
batch = g.id.batch(1000)
said = g.id.decode(batch[-1])
print("batch:", len(set(batch)), "of", said["space"], "by worker", said["worker"], "in", said["time"].year)

# The small numbers of a tag, from a segment that the gateway has reserved.
g.id.create("invoice", {"start": 1000})
print("segment:", g.id.segment("invoice"), g.id.segment("invoice"), g.id.segment("invoice", 3))

# Texts that need no store.
print("uuid:", g.id.uuid(7)[14], g.id.uuid(4)[14], "ulid:", len(g.id.uuid("ulid")))

# With id.keys configured, an id can be shown to strangers as a text that tells nothing, and be found again.
try:
    print("hidden:", g.id.reveal(g.id.hide(first)) == first)
except xmlrpc.client.Fault as fault:
    print(fault.faultString)
