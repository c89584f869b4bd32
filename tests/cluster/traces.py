#!/usr/bin/env python3
"""Traces of a cluster: a collector that takes OTLP over HTTP, and what must be seen in it of one invocation.

usage: traces.py collect FOLDER [COMMAND ...]   Takes spans while COMMAND runs, writes them to FOLDER/spans as lines of JSON;
                                                COMMAND's services send here, by their environment.
       traces.py check                          Inside cluster.sh: invokes an action as part of a client's trace, and follows
                                                it through gateway, controller, bus, invoker and container to its record.
"""
import base64
import http.client
import http.server
import json
import os
import pathlib
import secrets
import struct
import subprocess
import sys
import threading
import time
import urllib.parse


def fields(data):
    """The fields of a protobuf message: number and value."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        match tag & 7:
            case 0:
                value = varint()
            case 1:
                value, at = struct.unpack_from("<Q", data, at)[0], at + 8
            case 2:
                size = varint()
                value, at = data[at : at + size], at + size
            case 5:
                value, at = struct.unpack_from("<I", data, at)[0], at + 4
            case other:
                raise ValueError(f"wire type {other}")
        yield tag >> 3, value


def every(data, number):
    return [value for found, value in fields(data) if found == number]


def attributes(data, number):
    found = {}
    for pair in every(data, number):
        parts = dict(fields(pair))
        kind, value = next(iter(fields(parts[2])))
        found[parts[1].decode()] = value.decode() if kind == 1 else value
    return found


def spans(request):
    for resource_spans in every(request, 1):
        about = next(iter(every(resource_spans, 1)), b"")
        for scope in every(resource_spans, 2):
            for span in every(scope, 2):
                parts = dict(fields(span))
                yield {
                    "service": attributes(about, 1).get("service.name"),
                    "pid": attributes(about, 1).get("process.pid"),
                    "trace": parts[1].hex(),
                    "id": parts[2].hex(),
                    "parent": parts.get(4, b"").hex(),
                    "name": parts[5].decode(),
                    "kind": {2: "server", 3: "client", 4: "producer", 5: "consumer"}.get(parts.get(6), "internal"),
                    "start": parts[7],
                    "end": parts[8],
                    "failed": dict(fields(parts.get(15, b""))).get(3) == 2,
                    "attributes": attributes(span, 9),
                }


def collect(folder, command):
    written = open(folder / "spans", "w", buffering=1)
    lock = threading.Lock()

    class Collector(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            good = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            if good:
                with lock:
                    written.writelines(json.dumps(span) + "\n" for span in spans(body))
            self.send_response(200 if good else 400)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    services = ["GATEWAY", "CONTROLLER", "INVOKER"]
    environment = {f"FERROWHISK_{service}_LOG__OTLP_ENDPOINT": endpoint for service in services}
    # The SDK gathers spans for so long; a test should not wait.
    environment |= {"OTEL_BSP_SCHEDULE_DELAY": "300", "TRACES": str(folder / "spans")}
    sys.exit(subprocess.run(command, env=os.environ | environment).returncode)


def check():
    gateway = urllib.parse.urlsplit(os.environ["CLUSTER_GATEWAYS"].split()[0]).netloc
    headers = {
        "authorization": "Basic " + base64.b64encode(os.environ["CLUSTER_AUTH"].encode()).decode(),
        "content-type": "application/json",
    }

    def ask(method, path, body, more):
        connection = http.client.HTTPConnection(gateway, timeout=90)
        connection.request(method, f"/api/v1/namespaces/_{path}", json.dumps(body), headers | more)
        answer = connection.getresponse()
        text = json.loads(answer.read())
        assert answer.status in (200, 202), (answer.status, text)
        return text, answer.headers.get("traceparent")

    code = "function main(p) { return { n: p.n }; }"
    ask("PUT", "/actions/traced?overwrite=true", {"exec": {"kind": "nodejs:default", "code": code}}, {})
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    record, told = ask("POST", "/actions/traced?blocking=true", {"n": 1}, {"traceparent": f"00-{trace}-{caller}-01"})
    # What its caller does not record, nobody does.
    unseen = secrets.token_hex(16)
    _, passed = ask("POST", "/actions/traced?blocking=true", {"n": 2}, {"traceparent": f"00-{unseen}-{caller}-00"})
    assert passed.startswith(f"00-{unseen}-") and passed.endswith("-00"), passed

    wanted = {
        # name and service: kind, and whose child it is
        ("POST", "ferrowhisk-gateway"): ("server", None),
        ("POST", "ferrowhisk-controller"): ("server", ("POST", "ferrowhisk-gateway")),
        ("publish", "ferrowhisk-controller"): ("producer", ("POST", "ferrowhisk-controller")),
        ("activation", "ferrowhisk-invoker"): ("consumer", ("POST", "ferrowhisk-controller")),
        ("container init", "ferrowhisk-invoker"): ("client", ("activation", "ferrowhisk-invoker")),
        ("container run", "ferrowhisk-invoker"): ("client", ("activation", "ferrowhisk-invoker")),
        ("record", "ferrowhisk-invoker"): ("client", ("activation", "ferrowhisk-invoker")),
    }
    deadline = time.monotonic() + 20
    while True:
        lines = pathlib.Path(os.environ["TRACES"]).read_text().split("\n")
        every_span = [json.loads(line) for line in lines if line.endswith("}")]
        found = {(span["name"], span["service"]): span for span in every_span if span["trace"] == trace}
        if found.keys() >= wanted.keys():
            break
        if time.monotonic() > deadline:
            sys.exit(f"traces: of one invocation there are only {sorted(found)}")
        time.sleep(0.1)
    for span, (kind, parent) in wanted.items():
        is_child_of = found[parent]["id"] if parent else caller
        assert found[span]["kind"] == kind, found[span]
        assert found[span]["parent"] == is_child_of, (span, found[span], is_child_of)
        assert found[span]["start"] <= found[span]["end"], found[span]
        assert not found[span]["failed"], found[span]
    assert len({found[span]["pid"] for span in wanted}) == 3, "three processes"
    assert told == f"00-{trace}-{found['POST', 'ferrowhisk-gateway']['id']}-01", told
    activation = found["activation", "ferrowhisk-invoker"]["attributes"]
    assert activation["ferrowhisk.activation_id"] == record["activationId"], activation
    assert activation["ferrowhisk.action"] == "guest/traced", activation
    assert not any(span["trace"] == unseen for span in every_span), "a trace that its caller does not record"
    print(f"traces: one invocation is {len(found)} spans of 3 processes in its caller's trace")


match sys.argv[1:]:
    case ["check"]:
        check()
    case ["collect", folder, *command]:
        collect(pathlib.Path(folder), command)
    case _:
        sys.exit(__doc__)
