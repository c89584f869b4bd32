#!/usr/bin/env python3
"""Kills an invoker and a controller of a cluster for good, under load, and watches others take over what they had: everything
that was accepted must have exactly one record, within a bounded time. Then cancels over the bus, brings both back, and ends a
controller while somebody follows a log through it. Runs inside cluster.sh, which names the cluster in the environment;
takeover.sh calls it.

usage: takeover.py FOLDER_OF_THE_PROGRAMS
"""
import base64
import collections
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

NAMESPACE = "/api/v1/namespaces/_"
LOAD = 8  # seconds
KILL = 4  # seconds into the load
BOUND = 90  # seconds from the kill until everything has its record


class Cluster:
    def __init__(self, programs):
        self.programs = pathlib.Path(programs)
        self.folder = pathlib.Path(os.environ["CLUSTER_DIR"])
        self.gateways = [urllib.parse.urlsplit(url).netloc for url in os.environ["CLUSTER_GATEWAYS"].split()]
        key = base64.b64encode(os.environ["CLUSTER_AUTH"].encode()).decode()
        self.headers = {"authorization": f"Basic {key}", "content-type": "application/json"}

    def ask(self, method, path, body=None, gateway=0):
        """Status and document; 0 where no answer came."""
        connection = http.client.HTTPConnection(self.gateways[gateway % len(self.gateways)], timeout=90)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path if path.startswith("/") else f"{NAMESPACE}/{path}", text, self.headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()

    def insist(self, method, path, body=None, wanted=(200, 202)):
        deadline = time.monotonic() + 60
        while True:
            status, document = self.ask(method, path, body, gateway=int(time.monotonic() * 10))
            if status in wanted:
                return document
            if time.monotonic() > deadline:
                sys.exit(f"takeover: {method} {path} is answered {status}: {document}")
            time.sleep(0.2)

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    def kill(self, name):
        os.kill(self.pid(name), signal.SIGKILL)

    def start(self, name):
        program = self.programs / f"ferrowhisk-{name.rstrip('0123456789')}"
        log = open(self.folder / f"{name}.log", "a")
        config = self.folder / f"{name}.toml"
        child = subprocess.Popen([program, "--config", config], stdout=subprocess.DEVNULL, stderr=log)
        (self.folder / f"{name}.pid").write_text(f"{child.pid}\n")
        return child

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()


def until(what, seconds, is_so):
    deadline = time.monotonic() + seconds
    while True:
        found = is_so()
        if found:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"takeover: {what}: not within {seconds} s")
        time.sleep(0.2)


def native(script):
    return {"exec": {"kind": "blackbox", "image": "openwhisk/dockerskeleton", "code": script}}


def furnish(cluster):
    nap = "#!/bin/sh\nsleep 0.5\necho '{\"rested\": true}'\n"
    long = "#!/bin/sh\nfor n in $(seq 100); do echo line $n; sleep 1; done\necho '{\"rested\": true}'\n"
    cluster.insist("PUT", "actions/nap?overwrite=true", native(nap))
    cluster.insist("PUT", "actions/long?overwrite=true", native(long) | {"limits": {"timeout": 120000}})
    for sequence, components in [("steps", ["/_/nap"] * 3), ("march", ["/_/long"] * 2)]:
        body = {"exec": {"kind": "sequence", "components": components}}
        cluster.insist("PUT", f"actions/{sequence}?overwrite=true", body)


def load(cluster, accepted, over):
    """One client: invokes, does not wait, and notes what was accepted."""

    def client(number):
        while time.monotonic() < over:
            action = "steps" if number % 2 else "nap"
            status, document = cluster.ask("POST", f"actions/{action}", {}, gateway=number)
            if status == 202:
                accepted.append(document["activationId"])
            time.sleep(0.4)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for each in clients:
        each.start()
    return clients


def recorded(cluster, missing):
    for activation in list(missing):
        if cluster.ask("GET", f"activations/{activation}")[0] == 200:
            missing.discard(activation)
    return not missing


def exactly_once(cluster, accepted):
    """Pages through all records: each accepted id is there once."""
    counts, skip = collections.Counter(), 0
    while True:
        page = cluster.insist("GET", f"activations?limit=200&skip={skip}")
        counts.update(entry["activationId"] for entry in page)
        if len(page) < 200:
            break
        skip += 200
    wrong = {activation: counts[activation] for activation in accepted if counts[activation] != 1}
    if wrong:
        sys.exit(f"takeover: {len(wrong)} of {len(accepted)} are not recorded exactly once: {dict(list(wrong.items())[:5])}")


def cancels(cluster):
    """What runs and what is composed is cancelled through either gateway."""
    for action in ["long", "march"]:
        activation = cluster.insist("POST", f"actions/{action}", {})["activationId"]
        time.sleep(1)
        started = time.monotonic()
        until(
            f"{action} can be cancelled",
            20,
            lambda: cluster.ask("DELETE", f"activations/{activation}", gateway=1)[0] in (200, 202),
        )
        until("its record", 20, lambda: cluster.ask("GET", f"activations/{activation}")[0] == 200)
        annotations = cluster.ask("GET", f"activations/{activation}")[1]["annotations"]
        if {"key": "cancelled", "value": True} not in annotations:
            sys.exit(f"takeover: {action} was cancelled, and its record does not say so: {annotations}")
        print(f"takeover: {action} cancelled within {time.monotonic() - started:.1f} s")


def follows(cluster, controllers):
    """A controller that ends lets those go who follow a log through it."""
    activation = cluster.insist("POST", "actions/long", {})["activationId"]
    headers = cluster.headers | {"accept": "text/event-stream"}

    def follow():
        # Another controller than its own finds it as soon as an invoker runs it.
        connection = http.client.HTTPConnection(cluster.gateways[0], timeout=60)
        connection.request("GET", f"{NAMESPACE}/activations/{activation}/logs?follow=true", headers=headers)
        answer = connection.getresponse()
        return answer if answer.status == 200 else None

    answer = until("a log can be followed", 20, follow)
    heard = []

    def second_line():
        heard.append(answer.read1(4096))
        return b"line 2" in b"".join(heard)

    until("its second line", 20, second_line)
    started = time.monotonic()
    for controller in controllers:
        os.kill(cluster.pid(controller), signal.SIGTERM)
    try:
        while answer.read1(65536):
            pass
    except http.client.IncompleteRead:
        sys.exit("takeover: what was followed broke off instead of ending")
    took = time.monotonic() - started
    if took > 12:
        sys.exit(f"takeover: a controller that ends kept its followers for {took:.1f} s")
    print(f"takeover: followers were let go {took:.1f} s after SIGTERM")
    for controller in controllers:
        until(f"{controller} ends", 30, lambda name=controller: gone(cluster.pid(name)))
        cluster.start(controller)
    until("a controller again", 60, lambda: cluster.ask("GET", "actions")[0] == 200)
    cluster.ask("DELETE", f"activations/{activation}")


def gone(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def main():
    cluster = Cluster(sys.argv[1])
    furnish(cluster)
    accepted, began = [], time.monotonic()
    clients = load(cluster, accepted, began + LOAD)
    time.sleep(KILL)
    before = len(accepted)
    cluster.kill("invoker1")
    cluster.kill("controller1")
    killed = time.monotonic()
    print(f"takeover: {before} accepted, then invoker1 and controller1 were killed for good")
    for client in clients:
        client.join()
    missing = set(accepted)
    until("a record of everything accepted", BOUND, lambda: recorded(cluster, missing) or time.monotonic() > killed + BOUND)
    if missing:
        sys.exit(f"takeover: {len(missing)} of {len(accepted)} have no record after {BOUND} s: {sorted(missing)[:5]}")
    exactly_once(cluster, accepted)
    print(f"takeover: all {len(accepted)} have one record, {time.monotonic() - killed:.0f} s after the kill")
    taken = [line for line in cluster.log("controller0").splitlines() if "took over" in line]
    if not taken:
        sys.exit("takeover: nothing was taken over; the kill came at a moment when nothing was left")
    print(*taken, sep="\n")
    children = [cluster.start("invoker1"), cluster.start("controller1")]
    up = lambda: json.dumps(cluster.ask("GET", "/invokers")[1]).count('"up"') == 3
    until("invoker1 is back", 60, lambda: all(up() for _ in range(4)))
    cancels(cluster)
    again = [cluster.insist("POST", "actions/nap", {})["activationId"] for _ in range(12)]
    missing = set(again)
    until("a record of what came after", 60, lambda: recorded(cluster, missing))
    follows(cluster, ["controller0", "controller1"])
    del children


main()
