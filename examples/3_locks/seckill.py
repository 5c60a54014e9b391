"""Fifty buyers, ten items, two gateways: nothing is sold twice, and nothing below zero.

    python3 seckill.py [--db SPACE] [URL [URL]]

--db names a lock space of the gateways' configuration (lock.spaces), whichever store it is; without it the locks are kept in the default one.
"""

import argparse
import collections
import contextlib
import threading
import xmlrpc.client

parser = argparse.ArgumentParser()
parser.add_argument("urls", nargs="*", default=["http://localhost:4242"])
parser.add_argument("--db", help="the lock space")
arguments = parser.parse_args()

ITEM, BUYERS, STOCK = "phone", 50, 10
# The database remembers the highest token of each name. Two stores count on their own, so a name belongs to one of them.
LOCK = f"stock:{ITEM}" + (f" in {arguments.db}" if arguments.db else "")


def gateway(number):
    return xmlrpc.client.ServerProxy(arguments.urls[number % len(arguments.urls)], allow_none=True)


def buy(buyer, results):
    try:
        results[take_one(gateway(buyer), buyer)] += 1
    except xmlrpc.client.Fault as fault:  # a store that is away, or a lease that ended too soon
        results["failed"] += 1
        print(f"buyer {buyer}: {fault.faultString}")


def take_one(g, buyer):
    lease = g.lock.acquire(LOCK, {"owner": f"buyer {buyer}", "ttl_ms": 5000, "wait_ms": 30000, "db": arguments.db})
    if not lease["granted"]:  # not got is an answer, not an error: to go on would be the mistake
        return "no lock"
    try:
        left = g.sql.query("SELECT n FROM stock WHERE item = ?", [ITEM], {"level": "primary"})["rows"][0][0]
        if left == 0:
            return "sold out"
        # Had the lease ended meanwhile and another buyer written since, the database itself would refuse this.
        g.sql.batch([["UPDATE stock SET n = ? WHERE item = ?", [left - 1, ITEM]], ["INSERT INTO sale(item, buyer) VALUES (?, ?)", [ITEM, f"buyer {buyer}"]]],
                    {"fence": {"lock": lease["name"], "token": lease["token"]}})
        return "bought"
    finally:
        with contextlib.suppress(xmlrpc.client.Fault):  # what was bought is bought; the lease ends by itself
            g.lock.release(lease)


g = gateway(0)
g.sql.execute("CREATE TABLE IF NOT EXISTS stock(item VARCHAR(100) PRIMARY KEY, n INTEGER)")
g.sql.execute("CREATE TABLE IF NOT EXISTS sale(item VARCHAR(100), buyer VARCHAR(100))")
g.sql.batch([["DELETE FROM stock"], ["DELETE FROM sale"], ["INSERT INTO stock VALUES (?, ?)", [ITEM, STOCK]]])

results = collections.Counter()
buyers = [threading.Thread(target=buy, args=(number, results)) for number in range(BUYERS)]
for each in buyers:
    each.start()
for each in buyers:
    each.join()

primary = {"level": "primary"}
left = g.sql.query("SELECT n FROM stock WHERE item = ?", [ITEM], primary)["rows"][0][0]
sales = g.sql.query("SELECT count(*) FROM sale", [], primary)["rows"][0][0]
print(f"bought: {results['bought']}, sold out: {results['sold out']}, no lock: {results['no lock']}")
print(f"left: {left}, sales: {sales}")
