"""TLS and CURVE: who cannot show a certificate or a key is not served, and certificates change while connections live."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
import xmlrpc.client

sys.path.insert(0, os.path.join(os.environ["SLUICE_SOURCE"], "examples/1_hello"))
import msgpack
import zmq
from gateway import SLUICE, Gateway, free_port, wait_for

CONFIG = """
[access]
users = "{folder}/users"
anonymous = ["nothing"]
[tls]
certificate = "{folder}/server.pem"
key = "{folder}/server.key"
client_ca = "{folder}/ca.pem"
[zerorpc]
curve_keys = "{folder}/keys"
[role.nothing]
[role.all]
methods = ["*"]
statements = "write"
[role.adder]
methods = ["add", "echo"]
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def certificate(name, signer=None, common_name=None):
    """folder/NAME.pem and NAME.key: a certificate of its own, or one that `signer` vouches for."""
    at = f"{folder.name}/{name}"
    run("openssl", "req", "-x509" if not signer else "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", f"{at}.key", "-out", f"{at}.pem" if not signer else f"{at}.csr", "-subj", f"/O=Test/CN={common_name or name}")
    if signer:
        with open(f"{at}.ext", "w") as f:
            f.write("subjectAltName=IP:127.0.0.1\n")
        run("openssl", "x509", "-req", "-in", f"{at}.csr", "-CA", f"{folder.name}/{signer}.pem", "-CAkey", f"{folder.name}/{signer}.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{at}.ext", "-out", f"{at}.pem")


def setUpModule():
    global folder, gateway, https, mtls, curve, server_key, token, all_token, nobody_token
    folder = tempfile.TemporaryDirectory(prefix="sluice-secure-")
    certificate("ca")
    certificate("server", "ca")
    certificate("worker", "ca")
    certificate("unknown", "ca")
    certificate("nobody", "ca")
    certificate("stranger")
    users = f"{folder.name}/users"
    server_key = run(SLUICE, "keygen", f"{folder.name}/keys")
    run(SLUICE, "user", "add", "worker", "--role", "adder", "--certificate", "worker", "--users", users)
    run(SLUICE, "user", "add", "worker", "--role", "adder", "--key", run(SLUICE, "keygen", f"{folder.name}/worker_keys"), "--users", users)
    run(SLUICE, "user", "add", "ann", "--role", "adder", "--users", users, input="correct horse\n")
    token = run(SLUICE, "user", "add", "holder", "--role", "adder", "--token", "--users", users)
    all_token = run(SLUICE, "user", "add", "all", "--role", "all", "--token", "--users", users)
    nobody_token = run(SLUICE, "user", "add", "nobody", "--role", "nothing", "--token", "--users", users)
    run(SLUICE, "user", "add", "nobody", "--role", "nothing", "--certificate", "nobody", "--users", users)
    run(SLUICE, "user", "add", "nobody", "--role", "nothing", "--key", run(SLUICE, "keygen", f"{folder.name}/nobody_keys"), "--users", users)
    ports = [free_port() for _ in range(3)]
    https, mtls, curve = f"https://127.0.0.1:{ports[0]}", f"https://127.0.0.1:{ports[1]}", f"tcp://127.0.0.1:{ports[2]}"
    gateway = Gateway("--xmlrpc", https, "--xmlrpc", mtls.replace("https", "mtls"), "--zerorpc", "curve+" + curve, config=CONFIG.format(folder=folder.name))
    threading.Thread(target=gateway.process.stderr.read, daemon=True).start()


def tearDownModule():
    assert gateway.stop() == 0
    folder.cleanup()


def context(name=None, **options):
    made = ssl.create_default_context(cafile=f"{folder.name}/ca.pem")
    if name:
        made.load_cert_chain(f"{folder.name}/{name}.pem", f"{folder.name}/{name}.key")
    for key, value in options.items():
        setattr(made, key, value)
    return made


def server(url, name=None, **headers):
    return xmlrpc.client.ServerProxy(url, context=context(name), headers=list(headers.items()))


class Https(unittest.TestCase):
    def test_a_certificate_is_a_login(self):
        self.assertEqual(server(https, "worker").add(3, 4), 7)
        self.assertEqual(server(mtls, "worker").add(3, 4), 7)

    def test_a_token_is_a_login_where_a_certificate_is_not_required(self):
        self.assertEqual(server(https, Authorization="Bearer " + token).add(3, 4), 7)

    def test_a_certificate_that_nobody_knows_is_refused(self):
        with self.assertRaises(xmlrpc.client.ProtocolError) as caught:
            server(https, "unknown").add(3, 4)
        self.assertEqual(caught.exception.errcode, 401)

    def test_without_a_certificate_one_is_anonymous_or_not_served(self):
        with self.assertRaises(xmlrpc.client.Fault) as caught:
            server(https).add(3, 4)
        self.assertEqual(caught.exception.faultCode, -32003)
        with self.assertRaises(OSError):
            server(mtls).add(3, 4)

    def test_a_certificate_that_nobody_vouches_for_gets_no_connection(self):
        for url in (https, mtls):
            with self.assertRaises(OSError):
                server(url, "stranger").add(3, 4)

    def test_old_protocols_are_not_spoken(self):
        old = context("worker", minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        old.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises(OSError):
            xmlrpc.client.ServerProxy(https, context=old).add(3, 4)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(xmlrpc.client.ServerProxy(https, context=context("worker", minimum_version=version, maximum_version=version)).add(3, 4), 7)

    def test_large_requests_and_answers(self):
        text = "abcdefgh" * 500_000
        self.assertEqual(server(https, "worker").echo(text), text)

    def test_a_request_in_small_pieces_and_several_in_one(self):
        body = xmlrpc.client.dumps((3, 4), "add").encode()
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with socket.create_connection(("127.0.0.1", int(https.rsplit(":", 1)[1])), 20) as raw, context("worker").wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            for i in range(0, len(request), 7):
                tls.sendall(request[i:i + 7])
            tls.sendall(request * 3)
            answers = b""
            while answers.count(b"</methodResponse>") < 4:
                got = tls.recv(65536)
                self.assertTrue(got)
                answers += got
            self.assertEqual(answers.count(b"<int>7</int>") + answers.count(b"<i4>7</i4>"), 4)

    def test_who_speaks_no_tls_is_cut_and_harms_nobody(self):
        for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 70000, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b"\x80"):
            with socket.create_connection(("127.0.0.1", int(https.rsplit(":", 1)[1])), 20) as raw:
                raw.settimeout(1)
                try:
                    raw.sendall(bytes_)
                    while raw.recv(65536):
                        pass
                except OSError:
                    pass  # cut, or it waits for the rest
        self.assertEqual(server(https, "worker").add(3, 4), 7)

    def test_certificates_are_replaced_while_connections_live(self):
        def serial():
            with socket.create_connection(("127.0.0.1", int(https.rsplit(":", 1)[1])), 20) as raw, context("worker").wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                return tls.getpeercert()["serialNumber"]
        kept = server(https, "worker")
        self.assertEqual(kept.add(1, 1), 2)
        before = serial()
        certificate("server", "ca")
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(lambda: serial() != before, "the new certificate")
        self.assertEqual(kept.add(1, 1), 2)
        with open(f"{folder.name}/server.pem") as f:
            good = f.read()
        with open(f"{folder.name}/server.pem", "w") as f:
            f.write("nonsense")
        gateway.process.send_signal(signal.SIGHUP)
        self.assertEqual(server(https, "worker").add(1, 1), 2)
        with open(f"{folder.name}/server.pem", "w") as f:
            f.write(good)

    def test_sluice_call(self):
        at = folder.name
        self.assertEqual(run(SLUICE, "call", "--ca", f"{at}/ca.pem", "--cert", f"{at}/worker.pem", "--key", f"{at}/worker.key", mtls, "add", "3", "4"), "7")
        self.assertEqual(subprocess.run([SLUICE, "call", https, "add", "3", "4"], capture_output=True, timeout=60).returncode, 3)  # an unknown authority

    def test_sluice_call_with_a_password(self):
        self.assertEqual(run(SLUICE, "call", "--ca", f"{folder.name}/ca.pem", https.replace("://", "://ann:correct%20horse@"), "add", "3", "4"), "7")


class Reload(unittest.TestCase):
    def test_a_reload_takes_everything_or_nothing(self):
        place = self.enterContext(tempfile.TemporaryDirectory(prefix="sluice-reload-"))
        os.mkdir(f"{place}/logs")
        users, url = f"{place}/users", f"https://127.0.0.1:{free_port()}"
        config = CONFIG.replace("{folder}/users", users).replace("{folder}/server", "{folder}/changing").replace("[tls]", f'audit = "{place}/logs/audit.log"\n[tls]')
        certificate("changing", "ca")
        run(SLUICE, "user", "add", "early", "--role", "adder", "--token", "--users", users)
        own = Gateway("--xmlrpc", url, config=config.format(folder=folder.name))
        self.addCleanup(own.stop)
        told = []
        threading.Thread(target=lambda: told.extend(iter(own.process.stderr.readline, "")), daemon=True).start()

        def reload():
            before = len(told)
            own.process.send_signal(signal.SIGHUP)
            wait_for(lambda: any("reloaded" in line or "as it was" in line for line in told[before:]), "the gateway to tell of the reload")
            return "".join(told[before:])

        def serial():
            with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), 20) as raw, context().wrap_socket(raw, server_hostname="127.0.0.1") as tls:
                return tls.getpeercert()["serialNumber"]

        def read(path):
            with open(path) as f:
                return f.read()

        def write(path, text):
            with open(path, "w") as f:
                f.write(text)

        old = serial()
        certificate("changing", "ca")
        late = run(SLUICE, "user", "add", "late", "--role", "adder", "--token", "--users", users)
        good_users, good_certificate = read(users), read(f"{folder.name}/changing.pem")

        def nothing_changed():
            self.assertEqual(serial(), old)
            with self.assertRaises(xmlrpc.client.ProtocolError) as caught:
                server(url, Authorization="Bearer " + late).add(3, 4)
            self.assertEqual(caught.exception.errcode, 401)

        write(users, good_users + "nonsense\n")
        self.assertIn("users:4: expected NAME", reload())
        nothing_changed()
        os.remove(users)
        self.assertIn("users: cannot be read", reload())
        nothing_changed()
        write(users, good_users)
        write(f"{folder.name}/changing.pem", "nonsense")
        self.assertIn("changing.pem is no certificate in PEM", reload())
        nothing_changed()
        write(f"{folder.name}/changing.pem", good_certificate)
        os.rename(f"{place}/logs", f"{place}/away")
        self.assertIn("the audit log", reload())
        nothing_changed()
        os.rename(f"{place}/away", f"{place}/logs")
        self.assertIn("reloaded", reload())
        self.assertNotEqual(serial(), old)
        self.assertEqual(server(url, Authorization="Bearer " + late).add(3, 4), 7)


class Curve(unittest.TestCase):
    def call(self, *arguments):
        return subprocess.run([SLUICE, "call", "--timeout", "3", *arguments, curve, "add", "3", "4"], capture_output=True, text=True, timeout=60)

    def test_a_key_is_a_login(self):
        self.assertEqual(self.call("--server-key", server_key, "--curve-keys", f"{folder.name}/worker_keys").stdout, "7\n")

    def test_a_key_that_nobody_knows_is_told(self):
        refused = self.call("--server-key", server_key)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("PermissionError: no user has the key", refused.stderr)

    def test_without_curve_or_with_the_wrong_server_nothing_is_answered(self):
        self.assertEqual(self.call().returncode, 3)
        other = run(SLUICE, "keygen", f"{folder.name}/other_keys")
        self.assertEqual(self.call("--server-key", other, "--curve-keys", f"{folder.name}/worker_keys").returncode, 3)

    def test_another_implementation(self):
        with open(f"{folder.name}/worker_keys") as f:
            keys = dict(line.split() for line in f)
        with zmq.Context() as zmq_context, zmq_context.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = server_key.encode(), keys["public"].encode(), keys["secret"].encode()
            dealer.connect(curve)
            dealer.send_multipart([b"", msgpack.packb([{"message_id": "1", "v": 3}, "add", [3, 4]])])
            self.assertTrue(dealer.poll(10_000))
            self.assertEqual(msgpack.unpackb(dealer.recv_multipart()[-1])[1:], ["OK", [7]])

    def test_the_file_of_keys_is_ones_own(self):
        self.assertEqual(os.stat(f"{folder.name}/keys").st_mode & 0o777, 0o600)
        again = subprocess.run([SLUICE, "keygen", f"{folder.name}/keys"], capture_output=True, text=True, timeout=60)
        self.assertEqual(again.returncode, 1)
        self.assertIn("File exists", again.stderr)


class Denied(unittest.TestCase):
    """Who has no right gets none by another way in; test_access.py has the wires without TLS and CURVE."""

    def setUp(self):
        with server(https, Authorization="Bearer " + all_token) as everyone:
            self.methods = everyone.system.listMethods()
        self.assertGreater(len(self.methods), 30)

    def test_every_method_over_https_and_mtls(self):
        for url, name, headers in ((https, None, {"Authorization": "Bearer " + nobody_token}), (https, "nobody", {}), (mtls, "nobody", {}),
                                   (mtls, "worker", {"Authorization": "Bearer " + nobody_token})):
            with server(url, name, **headers) as caller:
                for method in self.methods:
                    with self.subTest(url=url, certificate=name, method=method), self.assertRaises(xmlrpc.client.Fault) as caught:
                        getattr(caller, method)()
                    self.assertEqual(caught.exception.faultCode, -32003, method)

    def test_every_method_over_curve(self):
        with open(f"{folder.name}/nobody_keys") as f:
            keys = dict(line.split() for line in f)
        with zmq.Context() as zmq_context, zmq_context.socket(zmq.DEALER) as dealer:
            dealer.linger, dealer.rcvtimeo = 0, 10_000
            dealer.curve_serverkey, dealer.curve_publickey, dealer.curve_secretkey = server_key.encode(), keys["public"].encode(), keys["secret"].encode()
            dealer.connect(curve)
            for number, method in enumerate(self.methods):
                with self.subTest(method=method):
                    mine = f"{number:032x}"
                    dealer.send_multipart([b"", msgpack.packb([{"message_id": mine, "v": 3}, method, []])])
                    while True:  # heartbeats of earlier calls come in between
                        header, name, args = msgpack.unpackb(dealer.recv_multipart()[-1])
                        if header.get("response_to") == mine and name != "_zpc_hb":
                            break
                    self.assertEqual((name, args[0]), ("ERR", "PermissionError"))


class Exposure(unittest.TestCase):
    def test_the_world_may_reach_what_is_encrypted_and_asks(self):
        def check(listen, zerorpc, users):
            with open(f"{folder.name}/exposed.toml", "w") as f:
                f.write((CONFIG if users else "").format(folder=folder.name).replace("[zerorpc]\n", f'[zerorpc]\nlisten = "{zerorpc}"\n') + f'[xmlrpc]\nlisten = "{listen}"\n')
            return subprocess.run([SLUICE, "check", f"{folder.name}/exposed.toml"], capture_output=True, text=True, timeout=60)
        for listen in ("https://0.0.0.0:4443", "mtls://0.0.0.0:4443"):
            self.assertEqual(check(listen, "curve+tcp://*:4243", True).returncode, 0)
            self.assertIn("nobody is asked", check(listen, "tcp://127.0.0.1:4243", False).stderr)
        self.assertIn("can be read on the way", check("0.0.0.0:4242", "tcp://127.0.0.1:4243", True).stderr)
        self.assertIn("can be read on the way", check("127.0.0.1:4242", "tcp://*:4243", True).stderr)


if __name__ == "__main__":
    unittest.main()
