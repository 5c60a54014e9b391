"""id.* on a real PostgreSQL, several gateways on one server."""

import unittest

import id_cases
from id_cases import ClockSteps, Outage, Server, Torture, setUpModule  # noqa: F401
from postgres import Postgres

id_cases.world = id_cases.database(lambda: Postgres(replicas=0, fsync=False))

if __name__ == "__main__":
    unittest.main()
