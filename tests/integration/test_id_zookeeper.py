"""id.* on a real ZooKeeper ensemble, several gateways on three servers, the leader killed meanwhile."""

import contextlib
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "tests/clusters"))

import id_cases  # noqa: E402
from gateway import Gateway, wait_for  # noqa: E402
from id_cases import Server  # noqa: E402, F401
from test_ids import QUICK, IdCase, Taker, ids, proxy  # noqa: E402
from zookeeper_nodes import ZooKeeper  # noqa: E402


class Ensemble(id_cases.World):
    def gateway(self, more="", environment=None):
        return Gateway(config=f'[id]\nbackend = "zookeeper://{self.cluster.hosts()}/test/sluice"\n{QUICK}{more}wait_ms = 10000\n', probe=False, environment=environment)


@contextlib.contextmanager
def one_ensemble():
    with ZooKeeper(replicas=2, fsync=False) as cluster:
        yield Ensemble(cluster)


id_cases.world = one_ensemble


def setUpModule():
    id_cases.setUpModule()


class WhenServersDie(IdCase):
    def test_ids_never_repeat_while_the_leader_and_a_gateway_are_killed(self):
        store = id_cases.store
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(store.gateway(f'gateway = "g{i}"\n')) for i in range(3)]
            takers = [Taker(lambda i=i: servers[i].endpoint, 40) for i in range(3)]
            stack.callback(lambda: [setattr(taker, "blocks", 0) for taker in takers])
            wait_for(lambda: all(len(taker.rows) > 3 for taker in takers), "some blocks of each gateway", 60)
            leader = store.cluster.leader()
            store.cluster.kill(leader)
            servers[0].kill()
            servers[0] = stack.enter_context(store.gateway('gateway = "g0"\n'))
            before = [len(taker.rows) for taker in takers]
            wait_for(lambda: all(len(taker.rows) > n or taker.blocks <= 0 for taker, n in zip(takers, before)), "blocks after the election", 30)
            store.cluster.start(leader)
            for taker in takers:
                taker.join(60)
                self.assertFalse(taker.is_alive())
                self.rises(taker.rows)
            self.distinct(*(taker.rows for taker in takers))
            self.assertEqual(sum(last - first + 1 for taker in takers for first, last in taker.rows), 3 * 40 * 10_000)

    def test_a_restart_goes_on_above(self):
        rows = []
        for ending in ("kill", "stop", "kill"):
            with id_cases.store.gateway('gateway = "again"\n') as server:
                rows += ids(proxy(server).id.batch(20_000, {"as": "range"}))
                getattr(server, ending)()
        self.rises(rows)


if __name__ == "__main__":
    unittest.main()
