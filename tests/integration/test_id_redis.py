"""id.* on a real Redis that writes everything down, several gateways on it; and id.redis, beside any store."""

import contextlib
import tempfile
import unittest

import id_cases
from gateway import Gateway, wait_for
from id_cases import ClockSteps, IdCase, Outage, Server, Torture, World, answer, configured, proxy, setUpModule  # noqa: F401
from redis_masters import Redis


@contextlib.contextmanager
def one_server():
    with Redis(fsync=True) as redis:
        yield World(redis, f"redis://{redis.hosts()}")


id_cases.world = one_server


class Stamps(IdCase):
    """id.redis: the time and a counter, in the Redis of id.redis, whatever the store is."""

    def setUp(self):
        self.redis = self.enterContext(Redis(fsync=False))
        config = configured(f'redis = "redis://{self.redis.hosts()}"\n')
        self.servers = [self.enterContext(Gateway(config=config, probe=False)) for _ in range(2)]

    def stamps(self, rounds):
        return [int(proxy(server).id.redis("orders")) for _ in range(rounds) for server in self.servers]

    def test_they_rise_over_gateways_and_losses(self):
        given = self.stamps(100)
        for loss in (lambda: self.redis.do(0, "flushall"), lambda: (self.redis.kill(0), self.redis.start(0))):
            loss()
            wait_for(lambda: all(answer(server, "id.redis", "orders") for server in self.servers), "stamps after the loss", 30)
            given += self.stamps(20)
        self.assertEqual(sorted(set(given)), given)

    def test_they_tell_the_time_and_tags_count_apart(self):
        seconds = int(self.redis.do(0, "time").split()[0]) - 1735689600
        first, second = (int(proxy(self.servers[0]).id.redis("a")) for _ in range(2))
        self.assertLess(abs((first >> 32) - seconds), 5)
        self.assertLess(first, second)
        self.assertEqual(int(proxy(self.servers[1]).id.redis("b")) & 0xFFFFFFFF, 0)

    def test_the_password_may_stand_in_a_file(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("p ss word\n")
            file.flush()
            self.redis.do(0, "config", "set", "requirepass", "p ss word")
            guarded = self.enterContext(Gateway(config=configured(f'redis = "redis://{self.redis.hosts()}?password_file={file.name}"\n'), probe=False))
        self.assertGreater(int(proxy(guarded).id.redis("orders")), 0)

    def test_a_store_in_redis_serves_them_too(self):
        with World(self.redis, f"redis://{self.redis.hosts()}").gateway() as server:
            before = self.stamps(1)
            self.assertGreater(int(proxy(server).id.redis("orders")), before[-1])


if __name__ == "__main__":
    unittest.main()
