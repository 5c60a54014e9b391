"""lock.* on a real MariaDB: the store's own suite, then two gateways on one server."""

import unittest

import lock_cases
from lock_cases import Contention, Example, Faults, ServerCrash, ServerStore, Sessions, Surface, Time, setUpModule  # noqa: F401
from mariadb import MariaDB

lock_cases.world = lock_cases.database(lambda: MariaDB(replicas=0, fsync=False))

if __name__ == "__main__":
    unittest.main()
