"""A PostgreSQL cluster that Patroni looks after: primaries die, freeze and hand over, Patroni elects, and the gateways follow by themselves."""

import os
import sys
import time
import unittest

sys.path.append(os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

from failover_traffic import Traffic  # noqa: E402
from gateway import Gateway, wait_for  # noqa: E402
from patroni_nodes import Patroni  # noqa: E402


# Longer than Patroni takes to elect another for a primary that froze.
FAILOVER_MS = 30000


class UnderPatroni(unittest.TestCase):
    def gateway(self):
        return Gateway(data=self.cluster.url(), config=f'[database.main]\nurl = "{self.cluster.url()}"\nfailover_ms = {FAILOVER_MS}\n')

    def elected(self, old):
        """Waits for another primary than `old`; answers when it took its role."""
        others = [n for n in range(3) if n != old]
        wait_for(lambda: any(not self.cluster.is_replica(n) for n in others), "Patroni to promote a replica", 60)
        return time.monotonic()

    def test_writes_and_reads_go_on_through_each_kind_of_failover(self):
        with Patroni(fsync=False) as self.cluster, self.gateway() as a, self.gateway() as b:
            cluster = self.cluster
            with Traffic([a, b]) as traffic:
                for kind in ("dies", "hands over", "freezes", "dies"):
                    traffic.goes_on()
                    old = cluster.leader()
                    if kind == "dies":
                        cluster.kill(old)
                        traffic.measure(self.elected(old))
                        cluster.start(old)
                    elif kind == "freezes":
                        cluster.freeze(old)
                        traffic.measure(self.elected(old))
                        cluster.thaw(old)  # it believes for a moment that it is the primary still
                    else:
                        cluster.switchover()
                        traffic.measure(self.elected(old))
                    cluster.settle()
            rows = cluster.sql(cluster.leader(), "SELECT id FROM event").splitlines()
            # Less than the primary's lease: no read waits for an election.
            traffic.check(self, rows, slowest_read=5)


if __name__ == "__main__":
    unittest.main()
