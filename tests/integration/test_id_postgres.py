"""id.* on a real PostgreSQL, several gateways on one server."""

import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import id_cases  # noqa: E402
from id_cases import ClockSteps, Faults, Server, setUpModule  # noqa: E402, F401
from postgres import Postgres  # noqa: E402


@contextlib.contextmanager
def one_server():
    with Postgres(replicas=0, fsync=False) as cluster:
        yield id_cases.World(cluster)


id_cases.world = one_server

if __name__ == "__main__":
    unittest.main()
