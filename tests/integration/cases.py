"""What the test cases of several files share."""

import concurrent.futures
import os
import subprocess
import sys
import unittest
import xmlrpc.client

# Faults' codes, see docs/faults.md.
UNAUTHENTICATED, DENIED, NOT_FOUND, OVERLOADED, DEADLINE, OUTCOME_UNKNOWN, WRITE_LOST, TOO_LARGE = -32001, -32003, -32004, -32010, -32011, -32013, -32014, -32016


class FaultCase(unittest.TestCase):
    def fault(self, words, call, *args):
        """Makes sure that a call is refused with these words; answers the fault's code."""
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            call(*args)
        self.assertIn(words, caught.exception.faultString)
        return caught.exception.faultCode


class CodeCase(unittest.TestCase):
    def fault(self, code, call, *args):
        """Makes sure that a call is refused with this code; answers what the fault says."""
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            call(*args)
        self.assertEqual(caught.exception.faultCode, code, caught.exception.faultString)
        return caught.exception.faultString


def adopt(module):
    """Makes the cases that a test file imports its own. For each module that unittest meets among the cases it sets up anew, and what the file
    adds is to find what is there."""
    for case in vars(sys.modules[module]).values():
        if isinstance(case, type) and issubclass(case, unittest.TestCase):
            case.__module__ = module


def run_suite(program, **environment):
    """What is tested by a suite in C++ that is told by its environment where the servers are."""
    suite = subprocess.run([os.path.join(os.environ["SLUICE_BUILD"], program)], env=dict(os.environ, **environment), capture_output=True, text=True, timeout=100)
    if suite.returncode:
        raise AssertionError(suite.stdout[-4000:] + suite.stderr[-1000:])


def together(*calls):
    """Makes each in a thread of its own, and waits for all; what one of them raises is raised here."""
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        [made.result() for made in [pool.submit(call) for call in calls]]
