"""The lock that the seed text shows: SETNX, EXPIRE, and a release under WATCH, by redis-py, as it stands there. One caller.

    seed_lock.py HOST:PORT SECONDS
"""

import sys
import time
import uuid

import redis

host, port = sys.argv[1].split(":")
connection = redis.Redis(host, int(port), db=2)


def acquire_lock(lock_name, acquire_time=10, time_out=10):
    identifier = str(uuid.uuid4())
    end = time.time() + acquire_time
    lock = "string:lock:" + lock_name
    while time.time() < end:
        if connection.setnx(lock, identifier):
            connection.expire(lock, time_out)
            return identifier
        if not connection.ttl(lock):
            connection.expire(lock, time_out)
        time.sleep(0.001)
    return False


def release_lock(lock_name, identifier):
    lock = "string:lock:" + lock_name
    with connection.pipeline(True) as pipe:
        while True:
            try:
                pipe.watch(lock)
                value = connection.get(lock)
                if not value:
                    return True
                if value.decode() == identifier:
                    pipe.multi()
                    pipe.delete(lock)
                    pipe.execute()
                    return True
                pipe.unwatch()
                return False
            except redis.exceptions.WatchError:
                pass


pairs, start = 0, time.monotonic()
end = start + float(sys.argv[2])
while time.monotonic() < end:
    identifier = acquire_lock("resource")
    if not identifier or not release_lock("resource", identifier):
        sys.exit("not taken or not released")
    pairs += 1
print(f"{pairs / (time.monotonic() - start):.0f} pairs/s")
