"""Reads and writes over a real PostgreSQL cluster: starts one with two replicas and a gateway before it, breaks it, and shows where calls
went.    python3 cluster.py [PATH OF sluice]    Needs Debian's postgresql-15."""

import os
import pathlib
import subprocess
import sys
import time
import xmlrpc.client

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/clusters"))

import clusters
import postgres

SLUICE = sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/sluice"


def show(what, route):
    print(f"{what:34} {route['role']:8} {route['node']}  waited {route['waited_ms']:.1f} ms")


with postgres.Postgres(fsync=False) as cluster:
    port = clusters.free_ports(2)
    gateway = subprocess.Popen([SLUICE, "serve", "--xmlrpc", f"127.0.0.1:{port}", "--zerorpc", f"tcp://127.0.0.1:{port + 1}", "--data", cluster.url()],
                               stdout=subprocess.PIPE, text=True)
    try:
        print(gateway.stdout.readline().strip())
        sql = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}", allow_none=True).sql
        while not all(node["state"] == "up" for node in sql.topology()["nodes"]):
            time.sleep(0.01)  # it serves as soon as there is a primary, and finds the replicas in the next moment

        w = sql.execute("CREATE TABLE harbour(name text PRIMARY KEY, depth float8)")
        w = sql.execute("INSERT INTO harbour VALUES (?, ?)", ["Sines", 28.0])
        show("a write", w["route"])
        show("a read, whatever the replica has", sql.query("SELECT 1")["route"])
        r = sql.query("SELECT depth FROM harbour WHERE name = ?", ["Sines"], {"after": w["token"]})
        show("a read after that write", r["route"])
        assert r["rows"] == [[28.0]]

        for replica in (1, 2):
            cluster.pause(replica)
        w = sql.execute("UPDATE harbour SET depth = 29 WHERE name = ?", ["Sines"])
        r = sql.query("SELECT depth FROM harbour", [], {"after": w["token"]})
        show("the replicas stand still", r["route"])
        assert r["rows"] == [[29.0]]
        for replica in (1, 2):
            cluster.resume(replica)

        cluster.kill(0)
        cluster.promote(1)
        promoted = time.monotonic()
        w = sql.execute("UPDATE harbour SET depth = 30 WHERE name = ?", ["Sines"])
        show(f"{(time.monotonic() - promoted) * 1000:.0f} ms after a failover", w["route"])
        r = sql.query("SELECT depth FROM harbour", [], {"after": w["token"]})
        show("a read after that write", r["route"])
        assert r["rows"] == [[30.0]]

        for node in sql.topology()["nodes"]:
            print(f"{node['node']}  {node['role']:8} {node['state']:5} {node['lag_ms']:5.1f} ms behind, {node['reads']} reads, {node['writes']} writes")
    finally:
        gateway.terminate()
        gateway.wait()
