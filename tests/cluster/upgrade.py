#!/usr/bin/env python3
"""Replaces every service of a cluster, one after another, while clients call it: not one request may fail, and everything
that was accepted must have its record. Runs inside cluster.sh, which names the cluster in the environment; upgrade.sh calls it.

usage: upgrade.py FOLDER_OF_THE_NEW_PROGRAMS [--rate N] [--pause SECONDS]

Clients reach the gateways as through a load balancer, which this plays. It asks each gateway's /ready every 200 ms and sends
to those that are ready. It hides from clients exactly this, and nothing else:
  * a connection that cannot be made: the next gateway is tried. Nothing of the request was sent;
  * a kept connection that the gateway has closed while it was idle, which is seen before anything is sent on it.
A connection that breaks after a byte was sent, any 5xx, any 4xx, any answer that is not the expected one, is a failure.
"""
import argparse
import base64
import collections
import http.client
import itertools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

NAMESPACE = "/api/v1/namespaces/_"
ACTIONS = 6
ORDER = ["invoker", "controller", "gateway"]


class Balancer:
    """Which gateways take requests, as their /ready says."""

    def __init__(self, gateways):
        self.addresses = [urllib.parse.urlsplit(gateway).netloc for gateway in gateways]
        self.ready = {address: True for address in self.addresses}
        self.turn = itertools.count()
        for address in self.addresses:
            threading.Thread(target=self.watch, args=(address,), daemon=True).start()

    def watch(self, address):
        while True:
            try:
                connection = http.client.HTTPConnection(address, timeout=1)
                connection.request("GET", "/ready")
                self.ready[address] = connection.getresponse().status == 200
                connection.close()
            except OSError:
                self.ready[address] = False
            time.sleep(0.2)

    def order(self):
        turn = next(self.turn)
        rotated = [self.addresses[(turn + n) % len(self.addresses)] for n in range(len(self.addresses))]
        return sorted(rotated, key=lambda address: not self.ready[address])


class Client:
    """One client with its kept connections."""

    def __init__(self, balancer, auth):
        self.balancer = balancer
        self.headers = {
            "authorization": "Basic " + base64.b64encode(auth.encode()).decode(),
            "content-type": "application/json",
        }
        self.kept = {}

    def connection(self, address):
        """A connection that nothing was heard on since it became idle; none where it cannot be made."""
        kept = self.kept.pop(address, None)
        if kept and kept.sock and not select.select([kept.sock], [], [], 0)[0]:
            return kept
        if kept:
            kept.close()
        fresh = http.client.HTTPConnection(address, timeout=90)
        try:
            fresh.connect()
        except OSError:
            return None
        return fresh

    def ask(self, method, path, body=None):
        for address in self.balancer.order():
            connection = self.connection(address)
            if connection is None:
                continue
            connection.request(method, path, None if body is None else json.dumps(body), self.headers)
            answer = connection.getresponse()
            text = answer.read()
            if not answer.will_close:
                self.kept[address] = connection
            return answer.status, json.loads(text) if text else None
        raise ConnectionError("no gateway takes connections")


class Load:
    """Requests of all kinds, and what came of them."""

    KINDS = ["blocking", "non-blocking", "sequence", "fire", "write", "read", "blocking", "result"]

    def __init__(self, balancer, auth, rate, workers=12):
        self.balancer, self.auth, self.rate, self.workers = balancer, auth, rate, workers
        self.accepted, self.failures = [], []
        self.asked = collections.Counter()
        self.slowest = (0, "")
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.numbers = itertools.count()
        self.threads = []

    def prepare(self):
        client = Client(self.balancer, self.auth)
        code = "function main(p) { console.log('run ' + p.n); return { n: p.n }; }"
        put = lambda path, body: expect(client.ask("PUT", f"{NAMESPACE}/{path}?overwrite=true", body), 200)
        for n in range(ACTIONS):
            put(f"actions/echo{n}", {"exec": {"kind": "nodejs:default", "code": code}, "limits": {"memory": 128}})
        put("actions/both", {"exec": {"kind": "sequence", "components": ["/_/echo0", "/_/echo1"]}})
        put("triggers/bell", {})
        put("rules/ring", {"trigger": "/_/bell", "action": "/_/echo2"})

    def start(self):
        for _ in range(self.workers):
            self.threads.append(threading.Thread(target=self.work, daemon=True))
            self.threads[-1].start()

    def work(self):
        client = Client(self.balancer, self.auth)
        began = time.monotonic()
        while not self.ended.is_set():
            n = next(self.numbers)
            kind = self.KINDS[n % len(self.KINDS)]
            at = time.monotonic()
            try:
                found = self.one(client, kind, n)
            except Exception as error:  # whatever it is, a client saw it
                with self.lock:
                    self.failures.append(f"{time.strftime('%H:%M:%S')} {kind} {n}: {type(error).__name__}: {error}")
                client.kept.clear()
                found = None
            with self.lock:
                self.asked[kind] += 1
                self.slowest = max(self.slowest, (time.monotonic() - at, kind))
                if found:
                    self.accepted.append(found)
            due = began + (n / self.rate)
            self.ended.wait(max(0.0, due - time.monotonic()))

    def one(self, client, kind, n):
        action = f"{NAMESPACE}/actions/echo{n // len(self.KINDS) % ACTIONS}"
        match kind:
            case "blocking":
                record = expect(client.ask("POST", f"{action}?blocking=true", {"n": n}), 200)
                assert record["response"]["result"] == {"n": n}, record
                return record["activationId"]
            case "result":
                result = expect(client.ask("POST", f"{action}?blocking=true&result=true", {"n": n}), 200)
                assert result == {"n": n}, result
                return None
            case "non-blocking":
                return expect(client.ask("POST", action, {"n": n}), 202)["activationId"]
            case "sequence":
                record = expect(client.ask("POST", f"{NAMESPACE}/actions/both?blocking=true", {"n": n}), 200)
                assert record["response"]["result"] == {"n": n}, record
                return record["activationId"]
            case "fire":
                return expect(client.ask("POST", f"{NAMESPACE}/triggers/bell", {"n": n}), 202)["activationId"]
            case "write":
                body = {"parameters": [{"key": "n", "value": n}]}
                expect(client.ask("PUT", f"{NAMESPACE}/triggers/entity{n}?overwrite=true", body), 200)
                return None
            case "read":
                expect(client.ask("GET", f"{NAMESPACE}/actions?limit=3"), 200)
                return None
        raise AssertionError(kind)

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(100)


def expect(answer, status):
    if answer[0] != status:
        raise AssertionError(f"status {answer[0]} instead of {status}: {json.dumps(answer[1])[:300]}")
    return answer[1]


def until(what, seconds, holds):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"upgrade: {what} has not come about in {seconds} s")
        time.sleep(0.1)


def gone(pid):
    """Whether a process has ended; the shell that began it may not have noticed."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def answers(address, path):
    try:
        connection = http.client.HTTPConnection(address, timeout=2)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else None
    except OSError:
        return None


def replace(folder, new, name, gateways):
    """Ends a service as an operator does, and starts its successor with the same configuration."""
    program = "ferrowhisk-" + name.rstrip("0123456789")
    pid = int((folder / f"{name}.pid").read_text())
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    until(f"the end of {name}", 60, lambda: gone(pid))
    ended = time.monotonic()
    (folder / f"{name}.out").write_text("")
    successor = subprocess.Popen(
        [new / program, "--config", folder / f"{name}.toml"],
        stdout=open(folder / f"{name}.out", "w"),
        stderr=open(folder / f"{name}.log", "a"),
        start_new_session=True,
    )
    (folder / f"{name}.pid").write_text(str(successor.pid))
    admin = lambda: next(
        (line.split("//")[1] for line in (folder / f"{name}.out").read_text().split("\n") if line.startswith("admin ")), None
    )
    until(f"{name} anew", 60, lambda: admin() and answers(admin(), "/ready") == "ready")
    if name.startswith("invoker"):
        for gateway in gateways:
            # Asked often enough in a row to have asked every controller.
            until("every invoker up", 60, lambda: all(
                (answers(gateway, "/invokers") or "").count('"up"') == 3 for _ in range(4)))
    print(f"upgrade: {name}: drained in {ended - began:.1f} s, its successor ready in {time.monotonic() - ended:.1f} s", flush=True)


def unrecorded(balancer, auth, ids):
    client = Client(balancer, auth)
    return [one for one in ids if client.ask("GET", f"{NAMESPACE}/activations/{one}")[0] != 200]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("new", type=pathlib.Path)
    arguments.add_argument("--rate", type=float, default=25)
    arguments.add_argument("--pause", type=float, default=2, help="seconds between two services")
    chosen = arguments.parse_args()
    folder = pathlib.Path(os.environ["CLUSTER_DIR"])
    gateways, auth = os.environ["CLUSTER_GATEWAYS"].split(), os.environ["CLUSTER_AUTH"]
    balancer = Balancer(gateways)
    load = Load(balancer, auth, chosen.rate)
    load.prepare()
    load.start()
    time.sleep(chosen.pause)
    names = sorted(file.stem for file in folder.glob("*.pid"))
    for kind in ORDER:
        for name in (name for name in names if name.startswith(kind)):
            replace(folder, chosen.new.resolve(), name, balancer.addresses)
            time.sleep(chosen.pause)
    load.stop()
    missing = load.accepted
    deadline = time.monotonic() + 60
    while missing and time.monotonic() < deadline:
        missing = unrecorded(balancer, auth, missing)
        time.sleep(0.5 if missing else 0)
    total = sum(load.asked.values())
    print(f"upgrade: {total} requests ({', '.join(f'{count} {kind}' for kind, count in sorted(load.asked.items()))}); "
          f"the slowest took {load.slowest[0]:.1f} s ({load.slowest[1]})")
    print(f"upgrade: {len(load.failures)} failed; of {len(load.accepted)} accepted activations {len(missing)} have no record")
    for failure in load.failures[:20]:
        print(f"upgrade:   {failure}")
    for one in missing[:20]:
        print(f"upgrade:   no record of {one}")
    if load.failures or missing or total < 50:
        sys.exit(1)


main()
