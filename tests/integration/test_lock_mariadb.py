"""lock.* on a real MariaDB: the store's own suite, then two gateways on one server."""

import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import lock_cases  # noqa: E402
from cases import adopt, run_suite  # noqa: E402
from gateway import Gateway  # noqa: E402
from lock_cases import Contention, Example, Faults, ServerCrash, Sessions, Surface, Time, setUpModule  # noqa: E402, F401
from mariadb import MariaDB  # noqa: E402


@contextlib.contextmanager
def one_server():
    with MariaDB(replicas=0, fsync=False) as lock_cases.cluster:
        cluster = lock_cases.cluster
        yield lambda: Gateway(data=cluster.url(), config='[lock]\nbackend = "database:main"\n')


lock_cases.world = one_server


class Store(unittest.TestCase):
    def test_conformance(self):
        run_suite("lock_server_suite", SLUICE_SERVER=lock_cases.cluster.url())


adopt(__name__)
if __name__ == "__main__":
    unittest.main()
