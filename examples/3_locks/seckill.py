"""Fifty buyers, ten items, two gateways: nothing is sold twice, and nothing below zero.

    python3 seckill.py [--db SPACE] [URL [URL]]

--db names a lock space of the gateways' configuration (lock.spaces); without it the locks are kept in the default one.
"""

import argparse
import collections
import threading
import xmlrpc.client

parser = argparse.ArgumentParser()
parser.add_argument("urls", nargs="*", default=["http://localhost:4242"])
parser.add_argument("--db", help="the lock space")
arguments = parser.parse_args()

ITEM, BUYERS, STOCK = "phone", 50, 10


def gateway(number):
    return xmlrpc.client.ServerProxy(arguments.urls[number % len(arguments.urls)], allow_none=True)


def buy(buyer, results):
    g = gateway(buyer)
    lease = g.lock.acquire(f"stock:{ITEM}", {"owner": f"buyer {buyer}", "ttl_ms": 5000, "wait_ms": 30000, "db": arguments.db})
    if not lease["granted"]:  # not got is an answer, not an error: to go on would be the mistake
        results["no lock"] += 1
        return
    try:
        left = g.sql.query("SELECT n FROM stock WHERE item = ?", [ITEM], {"level": "primary"})["rows"][0][0]
        if left == 0:
            results["sold out"] += 1
            return
        # Had the lease ended meanwhile and another buyer written since, the database itself would refuse this.
        g.sql.batch([["UPDATE stock SET n = ? WHERE item = ?", [left - 1, ITEM]], ["INSERT INTO sale(item, buyer) VALUES (?, ?)", [ITEM, f"buyer {buyer}"]]],
                    {"fence": {"lock": lease["name"], "token": lease["token"]}})
        results["bought"] += 1
    finally:
        g.lock.release(lease)


g = gateway(0)
g.sql.execute("CREATE TABLE IF NOT EXISTS stock(item VARCHAR(100) PRIMARY KEY, n INTEGER)")
g.sql.execute("CREATE TABLE IF NOT EXISTS sale(item VARCHAR(100), buyer VARCHAR(100))")
g.sql.batch([["DELETE FROM stock"], ["DELETE FROM sale"], ["INSERT INTO stock VALUES (?, ?)", [ITEM, STOCK]]])

results = collections.Counter()
buyers = [threading.Thread(target=buy, args=(number, results)) for number in range(BUYERS)]
for buyer in buyers:
    buyer.start()
for buyer in buyers:
    buyer.join()

primary = {"level": "primary"}
left = g.sql.query("SELECT n FROM stock WHERE item = ?", [ITEM], primary)["rows"][0][0]
sales = g.sql.query("SELECT count(*) FROM sale", [], primary)["rows"][0][0]
print(f"bought: {results['bought']}, sold out: {results['sold out']}, no lock: {results['no lock']}")
print(f"left: {left}, sales: {sales}")
