"""lock.* on a real PostgreSQL: the store's own suite, then two gateways on one server."""

import contextlib
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import lock_cases  # noqa: E402
from gateway import Gateway  # noqa: E402
from lock_cases import Contention, Faults, Sessions, Surface, Time  # noqa: E402, F401
from postgres import Postgres  # noqa: E402


@contextlib.contextmanager
def one_server():
    with Postgres(replicas=0, fsync=False) as cluster:
        yield lambda: Gateway(data=cluster.url(), config='[lock]\nbackend = "database:main"\n')


lock_cases.world = one_server


class Store(unittest.TestCase):
    def test_conformance(self):
        with Postgres(replicas=0, fsync=False) as cluster:
            suite = subprocess.run([os.path.join(os.environ["SLUICE_BUILD"], "lock_postgres_suite")], env=dict(os.environ, SLUICE_POSTGRES=cluster.url()),
                                   capture_output=True, text=True, timeout=100)
        self.assertEqual(suite.returncode, 0, suite.stdout[-4000:])


if __name__ == "__main__":
    unittest.main()
