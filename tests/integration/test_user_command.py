"""`sluice user`: who may log in."""

import os
import pty
import subprocess
import tempfile
import unittest

from access_cases import PASSWORD, user
from gateway import SLUICE


class Command(unittest.TestCase):
    def test_add_list_remove(self):
        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            self.assertEqual(user("add", "bob", "--role", "a", "--role", "b", "--users", users, stdin="long enough\n").returncode, 0)
            token = user("add", "bob", "--role", "a", "--token", "--users", users).stdout
            self.assertRegex(token, r"^slt_[0-9a-f]{64}\n$")
            self.assertEqual(user("add", "eve", "--role", "a", "--certificate", "eve.example", "--users", users).returncode, 0)
            self.assertEqual(user("list", "--users", users).stdout, "bob\tpassword\ta,b\nbob\ttoken\ta\neve\tcertificate\ta\teve.example\n")
            self.assertEqual(user("remove", "bob", "--users", users).returncode, 0)
            self.assertEqual(user("list", "--users", users).stdout, "eve\tcertificate\ta\teve.example\n")
            self.assertIn("has no user 'bob'", user("remove", "bob", "--users", users).stderr)

    def test_whom_another_adds_while_a_password_is_typed_stays(self):
        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            terminal, its_end = pty.openpty()
            slow = subprocess.Popen([SLUICE, "user", "add", "ann", "--role", "a", "--users", users], stdin=its_end, stderr=subprocess.PIPE)
            os.close(its_end)
            with slow, open(terminal, "wb", buffering=0) as keyboard:
                def prompted(text):
                    seen = b""
                    while not seen.endswith(text):
                        byte = slow.stderr.read(1)
                        self.assertTrue(byte, seen)
                        seen += byte

                prompted(b"password of ann: ")
                self.assertEqual(user("add", "bob", "--role", "a", "--token", "--users", users).returncode, 0)
                keyboard.write(PASSWORD.encode() + b"\n")
                prompted(b"again: ")
                keyboard.write(PASSWORD.encode() + b"\n")
                self.assertEqual(slow.wait(60), 0)
            self.assertEqual(user("list", "--users", users).stdout, "bob\ttoken\ta\nann\tpassword\ta\n")

    def test_twenty_at_once_lose_nobody(self):
        def at_once(*commands):
            running = [subprocess.Popen([SLUICE, "user", *command, "--users", users], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for command in commands]
            told = [one.communicate(timeout=60)[1] for one in running]
            self.assertEqual([(one.returncode, text) for one, text in zip(running, told)], [(0, b"")] * len(commands))

        def listed():
            return sorted(line.split("\t")[0] for line in user("list", "--users", users).stdout.splitlines())

        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            old, new = [f"old{n:02}" for n in range(20)], [f"new{n:02}" for n in range(20)]
            at_once(*[("add", name, "--role", "a", "--token") for name in old])
            self.assertEqual(listed(), old)
            at_once(*[("remove", name) for name in old[:10]], *[("add", name, "--role", "a", "--token") for name in new[:10]])
            self.assertEqual(listed(), new[:10] + old[10:])

    def test_a_role_that_the_configuration_lacks_is_not_given(self):
        with tempfile.TemporaryDirectory() as place:
            config, users = f"{place}/sluice.toml", f"{place}/users"
            with open(config, "w") as f:
                f.write(f'[access]\nusers = "{users}"\n[role.app]\n[role.reader]\n')
            for named in ([], ["--users", users]):
                refused = user("add", "bob", "--role", "app", "--role", "nope", "--token", "-c", config, *named)
                self.assertEqual((refused.returncode, refused.stdout), (1, ""))
                self.assertIn(f"{config} has no [role.nope]", refused.stderr)
                self.assertIn("its roles are app,reader", refused.stderr)
                self.assertEqual(os.listdir(place), ["sluice.toml"])
            self.assertEqual(user("add", "bob", "--role", "app", "--token", "-c", config).returncode, 0)

    def test_a_file_that_is_not_there_is_told(self):
        with tempfile.TemporaryDirectory() as place:
            for command in (["list"], ["remove", "bob"]):
                refused = user(*command, "--users", f"{place}/nope")
                self.assertEqual((refused.returncode, refused.stdout), (1, ""))
                self.assertIn(f"{place}/nope: cannot be read: No such file or directory; the first `sluice user add` makes it", refused.stderr)
            self.assertEqual(os.listdir(place), [])
            self.assertIn("the folder must be there", user("add", "bob", "--role", "a", "--token", "--users", f"{place}/nope/users").stderr)

    def test_what_is_wrong_is_told(self):
        with tempfile.TemporaryDirectory() as place:
            users = f"{place}/users"
            self.assertIn("8 characters at least", user("add", "bob", "--role", "a", "--users", users, stdin="short\n").stderr)
            self.assertIn("no user's name", user("add", "b:b", "--role", "a", "--users", users, stdin=PASSWORD).stderr)
            self.assertEqual(user("add", "bob", "--role", "a", stdin=PASSWORD).returncode, 2)
            with open(users, "w") as f:
                f.write("# comment\nnonsense\n")
            self.assertIn(f"{users}:2: expected NAME:ROLE,ROLE:SECRET", user("list", "--users", users).stderr)

    def test_a_role_that_is_not_there(self):
        with tempfile.TemporaryDirectory() as place:
            with open(f"{place}/users", "w") as f:
                f.write("bob:ghost:$token$00\n")
            with open(f"{place}/sluice.toml", "w") as f:
                f.write(f'[access]\nusers = "{place}/users"\n')
            checked = subprocess.run([SLUICE, "check", f"{place}/sluice.toml"], capture_output=True, text=True, timeout=60)
            self.assertEqual(checked.returncode, 1)
            self.assertIn("'bob' has the role 'ghost', but the configuration has no [role.ghost]", checked.stderr)


if __name__ == "__main__":
    unittest.main()
