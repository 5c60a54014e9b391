"""Holds the program that users run to what docs/security.md says of how it is built.

    check_hardening.py PROGRAM
"""

import re
import subprocess
import sys


def readelf(*options):
    return subprocess.run(["readelf", "--wide", *options, sys.argv[1]], capture_output=True, text=True, check=True).stdout


symbols = readelf("--dyn-syms")
wanted = {
    "a position-independent executable": re.search(r"Flags:.* PIE", readelf("--dynamic")),
    "all symbols bound at start": re.search(r"Flags:.*\bNOW\b", readelf("--dynamic")),
    "relocations made read-only": "GNU_RELRO" in readelf("--segments"),
    "a stack that is not executable": re.search(r"GNU_STACK.* RW ", readelf("--segments")),
    "guarded stack frames": "__stack_chk_fail" in symbols,
    "checked copies": re.search(r"__(memcpy|snprintf|read|vsnprintf)_chk", symbols),
    "checked containers": "__glibcxx_assert_fail" in symbols,
}
missing = [what for what, there in wanted.items() if not there]
print(f"{len(wanted) - len(missing)} of {len(wanted)}" + (f"; missing: {', '.join(missing)}" if missing else ""))
sys.exit(bool(missing))
