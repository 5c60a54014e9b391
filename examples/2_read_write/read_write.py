"""Reads and writes, and where they went.    python3 read_write.py [URL]"""

import sys
import xmlrpc.client

g = xmlrpc.client.ServerProxy(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:4242", allow_none=True)
sql = g.sql

sql.execute("CREATE TABLE IF NOT EXISTS harbour(name TEXT PRIMARY KEY, depth REAL)")
sql.batch([["INSERT OR REPLACE INTO harbour VALUES (?, ?)", [name, depth]] for name, depth in [("Bergen", 11.0), ("Rotterdam", 24.0)]])

# A write answers with a token; a read that carries it sees the write, from whichever node it is answered.
w = sql.execute("INSERT OR REPLACE INTO harbour VALUES (?, ?)", ["Sines", 28.0])
r = sql.query("SELECT name, depth FROM harbour ORDER BY depth DESC", [], {"after": w["token"]})
for name, depth in r["rows"]:
    print(f"{name:10} {depth:5.1f} m")
print("write:", w["route"]["role"], "| read:", r["route"]["role"], "because", r["route"]["why"])

# The switch: everything to the primary, and back.
sql.split(False)
print("split off:", sql.query("SELECT 1")["route"]["role"])
sql.split(True)
print("split on:", sql.query("SELECT 1")["route"]["role"])

# A transaction has a handle and a deadline; forgotten, it is rolled back.
tx = sql.begin({"timeout_ms": 5000})
sql.execute("UPDATE harbour SET depth = depth + 1", [], {"tx": tx})
sql.rollback(tx)
print("would go to:", sql.explain("DELETE FROM harbour"))
