"""id.* on a real ZooKeeper ensemble, several gateways on three servers, the leader killed meanwhile."""

import contextlib
import unittest

import id_cases
from gateway import wait_for
from id_cases import ClockSteps, IdCase, Outage, Server, Taker, Torture, World, ids, proxy, setUpModule  # noqa: F401
from zookeeper_nodes import ZooKeeper


class Ensemble(World):
    @contextlib.contextmanager
    def away(self):
        """Two of three: the last one serves nobody."""
        for node in (0, 1):
            self.cluster.kill(node)
        try:
            yield
        finally:
            for node in (0, 1):
                self.cluster.launch(node)
            for node in (0, 1):
                self.cluster.ready(node)


@contextlib.contextmanager
def one_ensemble():
    with ZooKeeper(replicas=2, fsync=False) as cluster:
        yield Ensemble(cluster, f"zookeeper://{cluster.hosts()}/test/sluice")


id_cases.world = one_ensemble


class WhenServersDie(IdCase):
    def test_ids_never_repeat_while_the_leader_and_a_gateway_are_killed(self):
        store = id_cases.store
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(store.gateway(f'gateway = "g{i}"\n')) for i in range(3)]
            takers = [Taker(lambda i=i: servers[i].endpoint, 40) for i in range(3)]
            stack.callback(lambda: [taker.enough.set() for taker in takers])
            wait_for(lambda: all(len(taker.rows) > 3 for taker in takers), "some blocks of each gateway", 60)
            leader = store.cluster.leader()
            store.cluster.kill(leader)
            servers[0].kill()
            servers[0] = stack.enter_context(store.gateway('gateway = "g0"\n'))
            before = [len(taker.rows) for taker in takers]
            wait_for(lambda: all(len(taker.rows) > n for taker, n in zip(takers, before)), "blocks after the election", 30)
            store.cluster.start(leader)
            for taker in takers:
                taker.enough.set()
            for taker in takers:
                taker.join(60)
                self.assertFalse(taker.is_alive())
                self.rises(taker.rows)
            self.distinct(*(taker.rows for taker in takers))
            self.assertGreaterEqual(sum(taker.given() for taker in takers), 3 * 40 * 10_000)

    def test_a_restart_goes_on_above(self):
        rows = []
        for ending in ("kill", "stop", "kill"):
            with id_cases.store.gateway('gateway = "again"\n') as server:
                rows += ids(proxy(server).id.batch(20_000, {"as": "range"}))
                getattr(server, ending)()
        self.rises(rows)


if __name__ == "__main__":
    unittest.main()
