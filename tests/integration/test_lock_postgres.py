"""lock.* on a real PostgreSQL: the store's own suite, then two gateways on one server."""

import threading
import time
import unittest

import lock_cases
from cases import adopt
from gateway import wait_for
from lock_cases import Contention, Example, Faults, LockCase, ServerCrash, ServerStore, Sessions, Surface, Time, proxy, setUpModule  # noqa: F401
from postgres import Postgres

lock_cases.world = lock_cases.database(lambda: Postgres(replicas=0, fsync=False))


class News(LockCase):
    """Waiters at other gateways are told of a release by the server; they look themselves only while they are not connected to it for that."""

    def listeners(self):
        return int(lock_cases.cluster.sql(0, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice listener'"))

    def scans(self):
        return int(lock_cases.cluster.sql(0, "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'sluice_locks'"))

    def waiter(self, wait_ms):
        got = []

        def wait():
            with proxy(1) as g:
                got.append(g.lock.acquire(self.name, {"wait_ms": wait_ms}))
                got.append(time.monotonic())

        thread = threading.Thread(target=wait)
        thread.start()
        wait_for(lambda: self.b.lock.info(self.name)["waiters"] == 1, "the waiter to wait")
        return thread, got

    def test_one_connection_for_each_gateway_and_no_looking(self):
        wait_for(lambda: self.listeners() == 2, "both gateways to listen")
        lease = self.a.lock.acquire(self.name)
        before = self.scans()
        thread, got = self.waiter(3000)
        thread.join()
        self.assertFalse(got[0]["granted"])
        time.sleep(1.1)  # the server counts a second late
        # Looking every 5 to 40 ms would have been a hundred scans; a waiter asks anew once a second, which takes several.
        self.assertLess(self.scans() - before, 50)
        self.a.lock.release(lease)

    def test_without_the_listening_connection_they_look(self):
        wait_for(lambda: self.listeners() == 2, "both gateways to listen")
        lease = self.a.lock.acquire(self.name)
        thread, got = self.waiter(10000)
        lock_cases.cluster.sql(0, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice listener'")
        released = time.monotonic()
        self.a.lock.release(lease)
        thread.join()
        self.assertTrue(got[0]["granted"])
        self.assertLess(got[1] - released, 0.1)
        self.a.lock.release(got[0])
        wait_for(lambda: self.listeners() == 2, "both gateways to listen again")


adopt(__name__)
if __name__ == "__main__":
    unittest.main()
