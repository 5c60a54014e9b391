"""The algorithm of redlock-py, by redis-py: SET NX PX on one master after the other, the wall clock, and a script for the release.
One caller.

    redlock_in_turn.py HOST:PORT,HOST:PORT,HOST:PORT SECONDS
"""

import random
import string
import sys
import time

import redis

UNLOCK = """
if redis.call("get", KEYS[1]) == ARGV[1] then
    return redis.call("del", KEYS[1])
else
    return 0
end"""
DRIFT = 0.01

masters = [redis.StrictRedis(*address.split(":"), db=2) for address in sys.argv[1].split(",")]
quorum = len(masters) // 2 + 1


def lock(resource, ttl):
    value = "".join(random.choice(string.ascii_letters + string.digits) for _ in range(22))
    for _ in range(3):
        taken, start = 0, int(time.time() * 1000)
        for master in masters:
            taken += bool(master.set(resource, value, nx=True, px=ttl))
        validity = ttl - (int(time.time() * 1000) - start) - (int(ttl * DRIFT) + 2)
        if validity > 0 and taken >= quorum:
            return resource, value
        unlock(resource, value)
        time.sleep(0.2)
    return False


def unlock(resource, value):
    for master in masters:
        master.eval(UNLOCK, 1, resource, value)


pairs, start = 0, time.monotonic()
end = start + float(sys.argv[2])
while time.monotonic() < end:
    held = lock("resource", 10000)
    if not held:
        sys.exit("not taken")
    unlock(*held)
    pairs += 1
print(f"{pairs / (time.monotonic() - start):.0f} pairs/s")
