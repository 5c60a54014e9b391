"""Who may include whom: the layers of CONTRIBUTING.md, held to by a test.    check_includes.py ROOT"""

import pathlib
import re
import sys

# The first part of a path that matches decides; what it lists, and itself, may be included.
ALLOWED = [
    ("rpc/", []),
    ("transports/net/", ["rpc/"]),
    ("transports/xmlrpc/", ["rpc/", "transports/net/"]),
    ("transports/zerorpc/", ["rpc/", "transports/net/"]),
    ("handlers/sql/classify/", ["rpc/", "handlers/sql/backend.h"]),
    ("handlers/sql/cluster/", ["rpc/", "handlers/sql/answer_limits.h", "handlers/sql/backend.h", "handlers/sql/handle.h", "handlers/sql/keys.h", "handlers/sql/position.h", "handlers/sql/token.h"]),
    ("handlers/sql/postgres/", ["rpc/", "handlers/sql/backend.h", "handlers/sql/listener.h", "handlers/sql/classify/", "handlers/sql/cluster/"]),
    ("handlers/sql/mariadb/", ["rpc/", "handlers/sql/backend.h", "handlers/sql/json.h", "handlers/sql/classify/", "handlers/sql/cluster/"]),
    ("handlers/sql/sqlite/", ["rpc/", "handlers/sql/"]),
    ("handlers/lock/sql/", ["rpc/", "handlers/lock/", "handlers/sql/backend.h", "handlers/sql/errand.h", "handlers/sql/listener.h"]),
    ("handlers/redis/", ["rpc/"]),
    ("handlers/lock/redis/", ["rpc/", "handlers/lock/", "handlers/redis/"]),
    ("handlers/lock/zookeeper/", ["rpc/", "handlers/lock/", "handlers/zookeeper/"]),
    ("handlers/lock/", ["rpc/"]),
    ("handlers/id/sql/", ["rpc/", "handlers/id/", "handlers/sql/backend.h", "handlers/sql/errand.h"]),
    ("handlers/id/redis/", ["rpc/", "handlers/id/", "handlers/redis/"]),
    ("handlers/id/zookeeper/", ["rpc/", "handlers/id/", "handlers/zookeeper/"]),
    ("handlers/zookeeper/", ["rpc/"]),
    ("handlers/id/", ["rpc/"]),
    ("handlers/calc/", ["rpc/"]),
    ("handlers/probe/", ["rpc/"]),
    ("handlers/sql/", ["rpc/"]),
    ("gateway/", ["rpc/", "transports/", "handlers/"]),
]

root = pathlib.Path(sys.argv[1])
errors = []
checked = 0
for file in sorted(f for top in ("rpc", "transports", "handlers", "gateway") for f in (root / top).rglob("*.[ch]*")):
    name = file.relative_to(root).as_posix()
    if file.suffix not in (".h", ".cc"):
        continue
    own, allowed = next(((o, a) for o, a in ALLOWED if name.startswith(o)), (None, None))
    if own is None:
        errors.append(f"{name}: tests/check_includes.py does not know this folder; add it to ALLOWED")
        continue
    for number, line in enumerate(file.read_text().splitlines(), 1):
        match = re.match(r'#include "([^"]+)"', line)
        if match and not any(match[1].startswith(prefix) for prefix in [own, *allowed]):
            errors.append(f"{name}:{number}: {own} may not include {match[1]}; allowed: {', '.join([own, *allowed])}")
    checked += 1
print("\n".join(errors) or f"{checked} files keep to their layers")
sys.exit(bool(errors) or checked < 50)
