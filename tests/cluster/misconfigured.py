#!/usr/bin/env python3
"""What a service says when it is configured wrongly: one line that names the key and the fix, and exit code 1. And what it says
while something is not there: so at once, and it goes on when the thing appears. Called by .ci/test-config, with Kafka and a server
with CouchDB's interface in the environment.

usage: misconfigured.py FOLDER_OF_THE_PROGRAMS [NAME ...]; with names, only cases whose name contains one of them
"""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

BIN = os.path.realpath(sys.argv[1])
WANTED = sys.argv[2:]
KAFKA = os.environ["FERROWHISK_TEST_KAFKA"]
KAFKA_TLS = os.environ["FERROWHISK_TEST_KAFKA_TLS"]
KAFKA_SASL = os.environ["FERROWHISK_TEST_KAFKA_SASL"]
FILES = os.environ["FERROWHISK_TEST_KAFKA_DIR"]
COUCHDB = os.environ["FERROWHISK_TEST_COUCHDB"]
SECRET = "an identity secret of 32 bytes and more"
LONG = 60
FOLDER = tempfile.mkdtemp(prefix="misconfigured")
failures = []


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def prefix():
    return "wrong_" + os.urandom(4).hex() + "_"


class Stub(http.server.BaseHTTPRequestHandler):
    """A server that is no CouchDB, or one that refuses everybody: the port decides."""

    def do_GET(self):
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


def stub(status, body, certificate=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.status, server.body = status, body.encode()
    if certificate:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"{'https://localhost' if certificate else 'http://127.0.0.1'}:{server.server_address[1]}"


def store(**keys):
    keys = {"type": "couchdb", "url": COUCHDB, "prefix": prefix(), **keys}
    return "[store]\n" + lines(keys)


def bus(section="", **keys):
    keys = {"type": "kafka", "brokers": KAFKA, "topic_prefix": prefix(), "timeout_ms": 5000, "session_timeout_ms": 6000, **keys}
    return "[bus]\n" + lines(keys) + section


def lines(keys):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


TOP = {
    "gateway": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "identity_secret": SECRET, "controllers": ["127.0.0.1:1"]},
    "controller": {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "identity_secret": SECRET},
    "invoker": {"admin": "127.0.0.1:0"},
}


def config(service, *sections, **top):
    """A configuration that works, but for what is given."""
    keys = {**TOP[service], **top}
    own = [s.split("\n", 1)[0] for s in sections]
    more = [] if "[store]" in own else [store()]
    if service != "gateway" and "[bus]" not in own:
        more.append(bus())
    if service == "invoker":
        more.append(f'[containers.process]\nrun_dir = "{FOLDER}/sandboxes"\ncgroup_parent = "/ferrowhisk-{os.getpid()}"\n')
    return lines(keys) + "\n".join([*sections, *more])


class Service:
    """A program with this configuration."""

    def __init__(self, service, text, **environment):
        self.service = service
        fd, path = tempfile.mkstemp(dir=FOLDER, suffix=".toml")
        os.write(fd, text.encode())
        os.close(fd)
        self.log = path + ".log"
        self.out = path + ".out"
        with open(self.log, "wb") as log, open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                [f"{BIN}/ferrowhisk-{service}", "--config", path], stdout=out, stderr=log, env={**os.environ, **environment})

    def said(self):
        with open(self.log, errors="replace") as log:
            return re.sub("\x1b\\[[0-9;]*m", "", log.read())

    def address(self, listener):
        def found():
            with open(self.out) as out:
                match = re.search(f"^{listener} http://(.*)$", out.read(), re.M)
            return match and match.group(1)
        return until(found, f"{self.service} does not listen ({listener}): {self.said()}")

    def ready(self):
        admin = self.address("admin")

        def answered():
            assert self.process.poll() is None, self.said()
            try:
                with urllib.request.urlopen(f"http://{admin}/ready", timeout=5) as answer:
                    return answer.status == 200
            except OSError:
                return False
        until(answered, f"{self.service} is not ready: {self.said()}")
        return self

    def alone(self):
        """A gateway that is not ready, and says which controllers it waits for."""
        def told():
            return [line for line in self.said().splitlines() if "`controllers`" in line and "127.0.0.1:1: " in line]
        until(told, lambda: f"nothing is said of the controllers: {self.said()}")
        try:
            urllib.request.urlopen(f"http://{self.address('admin')}/ready", timeout=5)
            raise AssertionError("a gateway without controllers is ready")
        except urllib.error.HTTPError as error:
            assert error.code == 503, error
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def until(condition, what, limit=LONG):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(what() if callable(what) else what)


def refuses(service, text, *expected, **environment):
    """The service ends by itself, with one line that has all of this in it."""
    started = Service(service, text, **environment)
    try:
        code = started.process.wait(LONG)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it does not end: {started.said()}") from None
    finally:
        started.stop()
    # On a machine that is busy it may have begun to wait before it was refused.
    said = [line for line in started.said().splitlines() if "waiting for what is not there yet" not in line]
    told = [line for line in said if line.startswith(f"ferrowhisk-{service}: ") or " ERROR " in line or " WARN " in line]
    assert code == 1, f"exit code {code}: {said}"
    assert len(told) == 1 and told[0] == said[-1], f"not one line: {said}"
    for part in expected:
        assert part in told[0], f"no {part!r}: {told[0]}"
    assert "hush" not in "".join(said), "a password is shown"


CASES = []


def case(function):
    CASES.append(function)
    return function


@case
def unknown_keys_and_wrong_types():
    for service in TOP:
        refuses(service, config(service, adminn="x"), "unknown configuration key `adminn`", "did you mean `admin`?")
        refuses(service, config(service, drain=5), "`drain`", "expected a duration")
        refuses(service, config(service, store(prefx="x")), "`store.prefx`", "did you mean `store.prefix`?")
        refuses(service, "admin = \n", "is not TOML", "line 1")
        refuses(service, config(service), "ADMINN", **{f"FERROWHISK_{service.upper()}_ADMINN": "x"})
    refuses("controller", config("controller", bus("[bus.tls]\nenabled = \"yes\"\n")), "`bus.tls.enabled`", "expected a boolean")
    misspelt = bus('[bus.properties]\n"sasl.oauthbearer.client.secrett" = "hush"\n')
    refuses("invoker", config("invoker", misspelt), "`bus.properties`", "`sasl.oauthbearer.client.secrett`")
    refuses("invoker", config("invoker", bus(session_timeout_ms=0)), "`bus.session_timeout_ms` is 0")
    for service in ("controller", "invoker"):
        refuses(service, config(service, '[bus]\ntype = "in_process"\n'), "`bus.type` is `in_process`", "`kafka`")
    for service in TOP:
        refuses(service, config(service, '[store]\ntype = "embedded"\n'), "`store.type` is `embedded`", "`couchdb`")
    refuses("invoker", config("invoker", bus("[bus.sasl]\nmechanism = \"MD5\"\n")), "`bus.sasl.mechanism`", "SCRAM-SHA-512")


@case
def addresses():
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    for service in ("gateway", "controller"):
        refuses(service, config(service, listen=f"127.0.0.1:{port}"), f"127.0.0.1:{port}", "the key `listen`")
    for service in TOP:
        refuses(service, config(service, admin=f"127.0.0.1:{port}"), f"127.0.0.1:{port}", "the key `admin`")
    refuses("controller", config("controller", listen="nowhere"), "nowhere", "the key `listen`")
    refuses("gateway", config("gateway", controllers=[]), "`controllers` is empty")
    refuses("gateway", config("gateway", controllers=["a b"]), "`controllers`", "write host:port")
    refuses("controller", config("controller", bus(brokers="kafka")), "`bus.brokers`", "write host:port")
    refuses("invoker", config("invoker", store(url="couch:5984")), "`store.url`", "write http://host:5984")


@case
def secrets():
    for service in ("gateway", "controller"):
        refuses(service, config(service, identity_secret="short"), "`identity_secret`", "at least 32")
    for service in ("controller", "invoker"):
        refuses(service, config(service, '[secrets]\nkey_file = "/no/such/file"\n'), "/no/such/file", "secrets.key_file")
        refuses(service, config(service, bus("[bus.properties]\n\"sasl.password\" = \"hush\"\n")), "`bus.sasl.password`")


@case
def names():
    for service in TOP:
        refuses(service, config(service, store(prefix="Whisk_")), "`store.prefix`", "'W'")
    for service in ("controller", "invoker"):
        refuses(service, config(service, bus(topic_prefix="a/b")), "`bus.topic_prefix`", "'/'")


@case
def couchdb():
    refusing = stub(401, '{"error":"unauthorized","reason":"Name or password is incorrect."}')
    other = stub(200, "<html>Welcome</html>")
    strange = stub(200, "{}", f"{FILES}/broker.both.pem")
    for service in TOP:
        refuses(service, config(service, store(url=refusing, username="whisk", password="hush")),
                "Name or password is incorrect", "`store.username` and `store.password`")
        refuses(service, config(service, store(url=other)), "is no CouchDB", "`store.url`")
        refuses(service, config(service, store(url=COUCHDB.replace("http:", "https:"))), "does not speak TLS", "`store.url`")
        refuses(service, config(service, store(url=strange)), "that this machine trusts", "`store.ca_file`")
        refuses(service, config(service, store(url=strange, ca_file=f"{FILES}/other.pem")), "other.pem", "`store.ca_file`")


@case
def a_database_of_a_later_version():
    of = prefix()
    Service("gateway", config("gateway", store(prefix=of))).alone().stop()
    url = f"{COUCHDB}/{of}whisks/_design/ferrowhisk-format"
    document = json.load(urllib.request.urlopen(url))
    document["ferrowhiskFormat"] += 1
    put = urllib.request.Request(url, json.dumps(document).encode(), {"content-type": "application/json"}, method="PUT")
    urllib.request.urlopen(put)
    for service in TOP:
        refuses(service, config(service, store(prefix=of)), f"{of}whisks", "later version", "`store.prefix`")


@case
def kafka_credentials():
    sasl = '[bus.sasl]\nmechanism = "{}"\nusername = "whisk"\npassword = "hush"\n'
    tls = f'[bus.tls]\nenabled = true\nca_file = "{FILES}/{{}}.pem"\n'
    for service in ("controller", "invoker"):
        refuses(service, config(service, bus(sasl.format("SCRAM-SHA-256"), brokers=KAFKA_SASL)), "`whisk`", "`bus.sasl.password`")
        refuses(service, config(service, bus(tls.format("other"), brokers=KAFKA_TLS)), "`bus.tls.ca_file`")
        refuses(service, config(service, bus(tls.format("ca"), brokers=KAFKA_TLS)), "`bus.tls.certificate_file`")
        by_number = KAFKA_TLS.replace("localhost", "127.0.0.1")
        refuses(service, config(service, bus(tls.format("ca"), brokers=by_number)), "is another host's", "`bus.brokers`")


def make_topic(name, partitions=1, **settings):
    """Somebody else makes a topic: a CreateTopics request of Kafka's protocol, version 2, all by hand."""
    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    configs = [text(key.replace("_", ".")) + text(value) for key, value in settings.items()]
    topic = text(name) + struct.pack(">ihii", partitions, 1, 0, len(configs)) + b"".join(configs)
    request = struct.pack(">hhi", 19, 2, 1) + text("test") + struct.pack(">i", 1) + topic + struct.pack(">i?", 10000, False)
    host, port = KAFKA.split(":")
    with socket.create_connection((host, int(port)), timeout=LONG) as broker, broker.makefile("rb") as answers:
        broker.sendall(struct.pack(">i", len(request)) + request)
        answer = answers.read(struct.unpack(">i", answers.read(4))[0])
    # After two numbers and one topic's name comes the verdict.
    (verdict,) = struct.unpack_from(">h", answer, 4 + 4 + 4 + 2 + len(name))
    assert verdict == 0, f"{name} is not made: error {verdict}"


@case
def topics():
    of = prefix()
    controller = Service("controller", config("controller", bus(topic_prefix=of))).ready()
    controller.stop()
    longer = bus("[bus.topics]\nanswers_retention_ms = 7200000\n", topic_prefix=of)
    refuses("controller", config("controller", longer),
            f"{of}completed0", "`bus.topics.answers_retention_ms`", "kafka-configs")
    for service in ("controller", "invoker"):
        refuses(service, config(service, bus("[bus.topics]\nsegment_bytes = 1\n")), "segment.bytes=1", "`bus.topics`")
        refuses(service, config(service, bus(session_timeout_ms=5000)), "`bus.session_timeout_ms` is 5000", "allow 6000 to")
    # Three copies of each, where there is one broker: of topics that are there, and of those that are to be made.
    three = "`bus.replication` = 3"
    for service in ("controller", "invoker"):
        refuses(service, config(service, bus(topic_prefix=of, replication=3)), f"`{of}", three, "kafka-reassign-partitions", "lower the key")
        refuses(service, config(service, bus(topic_prefix=prefix(), replication=3)), "instances`", three, "start more of them", "lower the key")


@case
def topics_that_somebody_else_made():
    for service, name in (("controller", "completed0"), ("invoker", "invoker0")):
        for found, expected in (
            ({"partitions": 3}, ["has 3 partitions", "delete it", "`bus.topic_prefix`"]),
            ({"cleanup_policy": "compact"}, ["cleanup.policy=compact", "kafka-configs", "`bus.topic_prefix`"]),
            ({"max_message_bytes": "1000"}, ["`bus.topics.max_message_bytes`", "kafka-configs"]),
        ):
            of = prefix()
            make_topic(of + name, **found)
            refuses(service, config(service, bus(topic_prefix=of)), f"`{of}{name}`", *expected)
    # What waits for another place is work that was accepted.
    of = prefix()
    make_topic(of + "elsewhere", retention_ms="3600000")
    for service in ("controller", "invoker"):
        refuses(service, config(service, bus(topic_prefix=of)), f"`{of}elsewhere`", "`bus.topics.work_retention_ms`", "kafka-configs")


@case
def one_process_to_a_name():
    of = bus(), store()
    for service, of_name in (("controller", "`controller.id`"), ("invoker", "`invoker.id`")):
        first = Service(service, config(service, *of)).ready()
        try:
            refuses(service, config(service, *of), f"{service}0 is running already", of_name, "another id")
            assert first.process.poll() is None, first.said()
        finally:
            first.stop()
        # Who was killed is not in the way of who comes after it.
        Service(service, config(service, *of)).ready().stop()


@case
def what_controllers_must_agree_on():
    of = bus(), store()
    first = Service("controller", config("controller", *of, '[controller]\nid = "0"\ncluster_size = 2\n')).ready()
    second = Service("controller", config("controller", *of, '[controller]\nid = "1"\ncluster_size = 3\n')).ready()
    try:
        def told():
            return [line for line in first.said().splitlines() if "controller.cluster_size" in line]
        until(told, first.said)
        assert 'controller1' in told()[0] and " ERROR " in told()[0], told()
    finally:
        first.stop()
        second.stop()


def signed(secret, now):
    """A gateway's word, as of this time in seconds."""
    def encoded(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    payload = json.dumps({"verdict": "missing", "expires": int((now + 30) * 1000)}).encode()
    text = "v1." + encoded(payload)
    return text + "." + encoded(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


@case
def a_gateway_that_is_not_believed():
    of = store()
    controller = Service("controller", config("controller", of)).ready()
    address = controller.address("controller")
    gateway = Service("gateway", config("gateway", of, controllers=[address], identity_secret="another " + SECRET))
    try:
        def told():
            return [line for line in gateway.said().splitlines() if "does not believe this gateway" in line]
        until(told, gateway.said)
        assert "`identity_secret`" in told()[0] and address in told()[0], told()
        # Nobody's key is called wrong because of that.
        connection = http.client.HTTPConnection(gateway.address("gateway"))
        connection.request("GET", "/api/v1/namespaces", headers={"authorization": "Basic " + base64.b64encode(b"a:b").decode()})
        assert connection.getresponse().status == 503
        assert len(told()) == 1, told()
        for apart, text in ((-60, "60 s behind the controller's"), (60, "s ahead of the controller's")):
            connection = http.client.HTTPConnection(address)
            connection.request("GET", "/ready", headers={"x-ferrowhisk-identity": signed(SECRET, time.time() + apart)})
            doubt = connection.getresponse().getheader("x-ferrowhisk-doubt")
            assert text in doubt and "NTP" in doubt, doubt
    finally:
        gateway.stop()
        controller.stop()


class Forwarder:
    """What was not there appears at a port."""

    def __init__(self, port, target):
        host, target_port = target.split("://")[-1].rsplit("@")[-1].rstrip("/").split(":")
        self.listener = socket.create_server(("127.0.0.1", port))
        self.target = host, int(target_port)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    @staticmethod
    def copy(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            for end in (one, other):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


@case
def what_is_not_there_yet_is_waited_for():
    for service in TOP:
        couchdb_port, kafka_port = closed_port(), closed_port()
        text = config(service, store(url=f"http://127.0.0.1:{couchdb_port}"), *(
            [] if service == "gateway" else [bus(brokers=f"127.0.0.1:{kafka_port}")]))
        began = time.monotonic()
        started = Service(service, text)

        def waits(port, key):
            return [line for line in started.said().splitlines() if f"127.0.0.1:{port}" in line and f"`{key}`" in line]
        try:
            until(lambda: waits(couchdb_port, "store.url"), started.said, limit=15)
            assert time.monotonic() - began < 10, "it waits without a word"
            Forwarder(couchdb_port, COUCHDB)
            if service != "gateway":
                until(lambda: waits(kafka_port, "bus.brokers"), started.said, limit=15)
                # And again after a while, as long as it lasts.
                until(lambda: len(waits(kafka_port, "bus.brokers")) > 1, started.said, limit=40)
                Forwarder(kafka_port, KAFKA)
            if service == "gateway":
                started.alone()
            else:
                started.ready()
        finally:
            started.stop()


for function in CASES:
    name = function.__name__
    if WANTED and not any(word in name for word in WANTED):
        continue
    began = time.monotonic()
    try:
        function()
        print(f"ok      {name} ({time.monotonic() - began:.0f} s)", flush=True)
    except AssertionError as error:
        failures.append(name)
        print(f"FAILED  {name}: {error}", flush=True)
subprocess.run(["rm", "-rf", FOLDER], check=False)
if failures:
    sys.exit(f"misconfigured: {len(failures)} of {len(CASES)} failed")
