"""What goes on while primaries die: callers of several gateways write, write under a key, and read; and what must be true of it afterwards."""

import statistics
import threading
import time
import xmlrpc.client

from cases import OUTCOME_UNKNOWN
from gateway import proxy, wait_for

# Seconds that no read may take: less than an election does, more than a busy machine makes a caller wait for his turn.
SLOWEST_READ = 3


class Traffic:
    """Runs while the `with` does. Through each gateway go a writer, one who writes under keys, and a reader; none of them may see a fault
    but a writer without a key that of an unknown outcome.
    """

    def __init__(self, gateways, pace=0):
        """`pace`: seconds between one caller's writes."""
        self.gateways, self.pace = gateways, pace
        self.stop = threading.Event()
        self.acknowledged = {}  # id -> when
        self.unknown, self.problems, self.gaps = set(), [], []
        self.slowest_read = 0.0
        self.reading_since = {}  # gateway -> when its reader last asked
        self.slow_reads = []  # what a gateway said of its nodes while a read took more than a second

    def __enter__(self):
        with proxy(self.gateways[0]) as g:
            self.created = g.sql.execute("CREATE TABLE event(id VARCHAR(100) PRIMARY KEY, round INT)")["token"]
        self.threads = [threading.Thread(target=self.guard, args=[work, gateway, f"{work.__name__} {i}"])
                        for i, gateway in enumerate(self.gateways) for work in (self.write, self.keyed, self.read, self.watch)]
        [t.start() for t in self.threads]
        return self

    def __exit__(self, *_):
        self.stop.set()
        [t.join() for t in self.threads]

    def guard(self, work, gateway, who):
        try:
            with proxy(gateway) as g:
                work(g, who, gateway)
        except Exception as problem:
            self.problems.append(f"{who}: {problem!r}")

    def write(self, g, who, _):
        n = 0
        while not self.stop.wait(self.pace):
            n += 1
            try:
                g.sql.execute("INSERT INTO event VALUES (?, ?)", [f"{who} {n}", n])
                self.acknowledged[f"{who} {n}"] = time.monotonic()
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != OUTCOME_UNKNOWN:
                    raise
                self.unknown.add(f"{who} {n}")

    def keyed(self, g, who, _):
        n = 0
        while not self.stop.wait(self.pace):
            n += 1
            g.sql.execute("INSERT INTO event VALUES (?, ?)", [f"{who} {n}", n], {"key": f"{who} {n}"})
            self.acknowledged[f"{who} {n}"] = time.monotonic()

    def read(self, g, _, gateway):
        while not self.stop.is_set():
            started = self.reading_since[gateway] = time.monotonic()
            # A replica that is made anew begins with nothing at all.
            answer = g.sql.query("SELECT round FROM event WHERE id = ?", ["write 0 1"], {"after": self.created})
            took = time.monotonic() - started
            self.slowest_read = max(self.slowest_read, took)
            if took > 1:
                self.slow_reads.append(f"after {took:.1f} s: {answer['route']}")

    def watch(self, g, who, gateway):
        told = 0
        while not self.stop.wait(0.1):
            since = self.reading_since.get(gateway, told)
            if since != told and time.monotonic() - since > 1:
                told = since
                topology = g.sql.topology()
                nodes = [{key: n[key] for key in ("node", "role", "state", "trouble", "following", "in_flight", "lag_ms")} for n in topology.pop("nodes")]
                self.slow_reads.append(f"{who}: {topology} {nodes}")

    def goes_on(self, count=20, seconds=20):
        """Waits for so many more writes."""
        enough = len(self.acknowledged) + count
        wait_for(lambda: self.problems or len(self.acknowledged) >= enough, f"{count} writes to be acknowledged", seconds)
        if self.problems:
            raise AssertionError(self.problems)

    def measure(self, promoted):
        """Waits for the first write that was acknowledged after a promotion, and notes how long that took."""
        after = lambda: [at for at in list(self.acknowledged.values()) if at > promoted]
        wait_for(lambda: self.problems or after(), "a write to be acknowledged after the promotion")
        if self.problems:
            raise AssertionError(self.problems)
        self.gaps.append(min(after()) - promoted)

    def check(self, case, rows, slowest_read=SLOWEST_READ):
        """`rows`: the ids that the last primary has. `slowest_read`: seconds that no read may take."""
        acknowledged, rows = set(self.acknowledged), list(rows)
        print(f"\n{len(acknowledged)} writes acknowledged, {len(self.unknown)} of unknown outcome; from promotion to the next write {statistics.median(self.gaps) * 1000:.0f} ms "
              f"(at most {max(self.gaps) * 1000:.0f}); the slowest read {self.slowest_read * 1000:.0f} ms", *self.slow_reads, sep="\n")
        case.assertEqual(self.problems, [])
        case.assertEqual(len(rows), len(set(rows)))
        case.assertEqual(acknowledged - set(rows), set(), "acknowledged, and gone")
        case.assertEqual(set(rows) - acknowledged - self.unknown, set(), "there, and never acknowledged or reported as unknown")
        case.assertLess(max(self.gaps), 1)
        case.assertLess(self.slowest_read, slowest_read, self.slow_reads)
