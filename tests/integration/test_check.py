"""`sluice check` and `sluice serve` refuse the same configurations in the same words, each shown where it stands."""

import json
import os
import subprocess
import tempfile
import unittest

from gateway import SLUICE, Gateway


def sluice(*arguments):
    # A configuration that is well would be served until a signal comes: 20 s are enough to refuse one.
    done = subprocess.run([SLUICE, *arguments], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sluice-check-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, text, mode=0o600):
        path = f"{self.folder}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def refused(self, text, place, words):
        """Both commands refuse `text`, in which @ is the folder, at `place`, with the line and a caret."""
        text = text.replace("@", self.folder)
        config = self.write("sluice.toml", text)
        line, column = map(int, place.split(":"))
        shown = text.splitlines()[line - 1]
        wanted = f"{config}:{place}: "
        told = {}
        for command in (["check"], ["serve", "-c"]):
            code, out, told[command[0]] = sluice(*command, config)
            self.assertEqual((code, out), (1, ""), told)
        for err in told.values():
            self.assertTrue(err.startswith(wanted), err)
            self.assertIn(words.replace("@", self.folder), err.splitlines()[0])
            self.assertIn(f"\n  {shown}\n  {' ' * (column - 1)}^\n", err)
        self.assertEqual(told["check"], told["serve"] + "1 error\n")


class Certificates(Case):
    def setUp(self):
        super().setUp()
        for name in ("server", "other"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                            "-keyout", f"{self.folder}/{name}.key", "-out", f"{self.folder}/{name}.pem"], check=True, capture_output=True, timeout=60)
        self.write("nonsense", "nonsense\n")

    LISTEN = '[xmlrpc]\nlisten = "https://127.0.0.1:0"\n'
    FILES = '[tls]\ncertificate = "@/server.pem"\nkey = "@/server.key"\n'

    def test_a_listener_that_wants_one_needs_it_and_its_key(self):
        self.refused(self.LISTEN, "2:10", "https://127.0.0.1:0 needs tls.certificate")
        self.refused(self.LISTEN + '[tls]\ncertificate = "@/server.pem"\n', "2:10", "https://127.0.0.1:0 needs tls.key")
        self.refused(self.LISTEN.replace("https", "mtls") + self.FILES, "2:10", "mtls://127.0.0.1:0 needs tls.client_ca")

    def test_files_that_are_not_there_or_hold_something_else(self):
        self.refused(self.LISTEN + self.FILES.replace("server.pem", "none"), "4:15", "tls.certificate: @/none: cannot be read: No such file or directory")
        self.refused(self.LISTEN + self.FILES.replace("server.key", "none"), "5:7", "tls.key: @/none: cannot be read: No such file or directory")
        self.refused(self.LISTEN + self.FILES.replace("server.pem", "nonsense"), "4:15", "tls.certificate: @/nonsense is no certificate in PEM")
        self.refused(self.LISTEN + self.FILES.replace("server.key", "nonsense"), "5:7", "tls.key: @/nonsense is no key in PEM")
        self.refused(self.LISTEN + self.FILES + 'client_ca = "@/none"\n', "6:13", "tls.client_ca: @/none: cannot be read: No such file or directory")
        self.refused(self.LISTEN + self.FILES + 'client_ca = "@/nonsense"\n', "6:13", "tls.client_ca: @/nonsense is no file of certificates in PEM")

    def test_the_key_of_another_certificate(self):
        self.refused(self.LISTEN + self.FILES.replace("server.key", "other.key"), "5:7", "tls.key: @/other.key is not the key of @/server.pem")

    def test_what_no_listener_wants_is_not_read(self):
        config = self.write("sluice.toml", self.FILES.replace("@", "/nonexistent"))
        self.assertEqual(sluice("check", config)[0], 0)


class Listeners(Case):
    def test_curve_without_keys(self):
        listen = '[zerorpc]\nlisten = "curve+tcp://127.0.0.1:0"\n'
        self.refused(listen, "2:10", "curve+tcp://127.0.0.1:0 needs a key")
        self.refused(listen + 'curve_keys = "@/none"\n', "3:14", "zerorpc.curve_keys: @/none: cannot be read: No such file or directory")
        self.write("keys", "nonsense\n")
        self.refused(listen + 'curve_keys = "@/keys"\n', "3:14", "zerorpc.curve_keys: @/keys holds no key pair")

    def test_an_address_that_others_reach_where_nobody_is_asked_who_he_is(self):
        self.refused('[xmlrpc]\nlisten = ["127.0.0.1:0", "0.0.0.0:0"]\n', "2:10", "refusing to listen on 0.0.0.0:0")
        self.refused('[zerorpc]\nlisten = "tcp://*:0"\n', "2:10", "refusing to listen on tcp://*:0")


class Users(Case):
    ACCESS = '[access]\nusers = "@/users"\n'

    def test_a_file_of_users_that_is_broken(self):
        self.write("users", "ann:app:$token$00\nnonsense\n")
        self.refused(self.ACCESS + "[role.app]\n", "2:9", "@/users:2: expected NAME:ROLE,ROLE:SECRET")
        os.remove(f"{self.folder}/users")
        os.mkdir(f"{self.folder}/users")
        self.refused(self.ACCESS, "2:9", "@/users: cannot be read: Is a directory")

    def test_roles_that_are_not_there(self):
        self.write("users", "ann:ghost:$token$00\n")
        self.refused(self.ACCESS, "2:9", "'ann' has the role 'ghost', but the configuration has no [role.ghost]")
        self.write("users", "")
        self.refused(self.ACCESS + 'anonymous = ["ghost"]\n', "3:13", "access.anonymous has the role 'ghost', but the configuration has no [role.ghost]")

    def test_an_audit_log_that_cannot_be_written(self):
        self.refused(self.ACCESS + 'audit = "@/none/audit.log"\n', "3:9", "the audit log @/none/audit.log cannot be opened: No such file or directory")
        self.refused(self.ACCESS + 'audit = "@"\n', "3:9", "the audit log @ cannot be opened: Is a directory")

    def test_check_makes_no_audit_log(self):
        config = self.write("sluice.toml", (self.ACCESS + 'audit = "@/audit.log"\n').replace("@", self.folder))
        self.assertEqual(sluice("check", config)[0], 0)
        self.assertEqual(os.listdir(self.folder), ["sluice.toml"])


class Stores(Case):
    def test_a_worker_id_that_a_space_has_not(self):
        self.refused('[id]\nbackend = "worker:99999"\n', "2:11", "id.backend: worker id 99999 is none of the space 'main' (41/10/12 1ms 2025-01-01): those are 0 to 1023")
        self.refused('[id]\nspaces = ["js layout=js53"]\nbackend = "worker:64"\n', "3:11", "those are 0 to 63")
        config = self.write("sluice.toml", '[id]\nspaces = ["js layout=js53", "main"]\nbackend = "worker:64"\n')
        self.assertEqual(sluice("check", config)[0], 0)

    def test_files_in_folders_that_are_not_there(self):
        for section, key in (("sqlite", "file"), ("lock", "file"), ("id", "file")):
            self.refused(f'[{section}]\n{key} = "@/none/x.db"\n', f"2:{len(key) + 4}", f"{section}.{key}: the file '@/none/x.db' cannot be opened: there is no folder @/none")
        self.refused('[database.a]\nurl = "sqlite:@/none/x.db"\n', "2:7", "[database.a]: url: the file '@/none/x.db' cannot be opened: there is no folder @/none")

    def test_files_of_secrets(self):
        for url in ("redis://h:1", "redlock://a:1,b:1,c:1"):
            self.refused(f'[lock]\nbackend = "{url}?password_file=@/none"\n', "2:11", "lock.backend: password_file: @/none: cannot be read: No such file or directory")
        self.refused('[lock]\nspaces = ["a=redis://h:1?password_file=@/none"]\n', "2:10", "lock.spaces 'a': password_file: @/none: cannot be read")
        self.refused('[id]\nbackend = "redis://h:1?password_file=@/none"\n', "2:11", "id.backend: password_file: @/none: cannot be read")
        self.refused('[id]\nredis = "redis://h:1?password_file=@/none"\n', "2:9", "id.redis: password_file: @/none: cannot be read")
        self.refused('[database.a]\nsecret_file = "@/none"\nurl = "postgresql://h/x"\n', "2:15", "[database.a]: secret_file: @/none: cannot be read")
        self.write("short", "secret\n")
        self.refused('[database.a]\nsecret_file = "@/short"\nurl = "postgresql://h/x"\n', "2:15", "[database.a]: secret_file: @/short must hold at least 16 bytes, not 6")


class Statements(Case):
    def test_a_name_of_the_gateways_own(self):
        with Gateway() as gateway:
            told = subprocess.run([SLUICE, "call", gateway.url, "system.listMethods"], capture_output=True, text=True, timeout=20).stdout
        handlers = {name.split(".")[0] for name in json.loads(told) if "." in name}
        self.assertGreaterEqual(handlers, {"calc", "id", "lock", "probe", "sql", "system", "validator1"})
        for handler in sorted(handlers):
            self.write("statements/city.sql", f"-- name: city.all\n-- read\nSELECT 1\n-- name: {handler}.multicall\n-- read\nSELECT 1\n")
            self.refused('[sql]\nstatements = "@/statements"\n', "2:14", f"@/statements/city.sql:4:1: {handler}.multicall cannot be served: names that begin with '{handler}.' are the gateway's own")


if __name__ == "__main__":
    unittest.main()
