"""lock.* on the embedded SQLite, two gateways on one file."""

import contextlib
import os
import tempfile
import unittest

import lock_cases
from gateway import Gateway
from lock_cases import Contention, Faults, Sessions, Surface, Time  # noqa: F401


@contextlib.contextmanager
def one_file():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        yield lambda: Gateway(data=os.path.join(folder, "shared.db"))


lock_cases.world = one_file

if __name__ == "__main__":
    unittest.main()
