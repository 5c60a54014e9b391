"""id.* on a real MariaDB, several gateways on one server."""

import unittest

import id_cases
from id_cases import ClockSteps, Outage, Server, Torture, setUpModule  # noqa: F401
from mariadb import MariaDB

id_cases.world = id_cases.database(lambda: MariaDB(replicas=0, fsync=False))

if __name__ == "__main__":
    unittest.main()
