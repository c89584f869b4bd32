#!/usr/bin/env python3
"""Dashboards and alerts against a running cluster: each metric that they name is exported by the services or stands in the
code of one, and a Prometheus that scrapes the cluster evaluates every query without an error. Runs inside cluster.sh, after
some load; the Prometheus is Debian's.

usage: monitoring.py
"""
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPERATIONS = ROOT / "docs/operations"
CRATES = ["crates/service", "crates/bus", "crates/store", "gateway", "controller", "invoker"]
# Prometheus's own, and words of its language.
NOT_OURS = {"up"}


def queries():
    """Every query of the dashboards and of the alerts, with where it stands."""
    for file in sorted((OPERATIONS / "grafana").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{file.name}: {panel['title']}", target["expr"]
    text = (OPERATIONS / "prometheus/alerts.yml").read_text()
    for name, expression in re.findall(r"- alert: (\w+)\n\s+expr: (\|\n(?:\s{10,}.*\n)+|.*\n)", text):
        yield f"alerts.yml: {name}", expression.removeprefix("|\n")


def metrics(expression):
    """Names of metrics in a query: words that are no function, label, keyword or string."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\b(by|without|on|ignoring) *\([^)]*\)", "", bare)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    return {word for word in re.findall(r"[a-zA-Z_:][\w:]*(?!\w*\s*\()", bare) if "_" in word or word in NOT_OURS}


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def services(folder):
    for file in sorted(folder.glob("*.pid")):
        out = (folder / f"{file.stem}.out").read_text()
        yield file.stem, next(line.split("//")[1] for line in out.split("\n") if line.startswith("admin "))


def main():
    folder = pathlib.Path(os.environ["CLUSTER_DIR"])
    addresses = dict(services(folder))
    pages = {name: get(address, "/metrics")[1] for name, address in addresses.items()}
    exported = {name for page in pages.values() for name in re.findall(r"^# TYPE (\S+)", page, re.M)}
    sources = [path.read_text() for crate in CRATES for path in (ROOT / crate / "src").rglob("*.rs")]
    wrong, only_declared = [], set()
    for where, expression in queries():
        for name in metrics(expression) - NOT_OURS:
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            if family in exported or name in exported:
                continue
            if any(f'"{family}"' in source for source in sources):
                only_declared.add(family)
            else:
                wrong.append(f"{where}: nothing exports {name}")

    with tempfile.TemporaryDirectory() as scratch:
        jobs = {}
        for name, address in addresses.items():
            jobs.setdefault(name.rstrip("0123456789"), []).append(address)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(OPERATIONS / "prometheus/alerts.yml")],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": found}]} for job, found in jobs.items()],
        }
        file = pathlib.Path(scratch) / "prometheus.yml"
        file.write_text(json.dumps(config))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        options = [f"--config.file={file}", f"--storage.tsdb.path={scratch}/data", f"--web.listen-address={address}"]
        prometheus = subprocess.Popen(["prometheus", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            evaluate(address, len(addresses), wrong)
        finally:
            prometheus.terminate()
            prometheus.wait()
    for line in wrong:
        print(f"monitoring: {line}")
    if only_declared:
        print(f"monitoring: not seen here, but in the code: {', '.join(sorted(only_declared))}")
    sys.exit(bool(wrong))


def evaluate(address, count, wrong):
    def ask(query):
        status, text = get(address, "/api/v1/query?" + urllib.parse.urlencode({"query": query}))
        return json.loads(text)

    deadline = time.monotonic() + 30
    while True:
        try:
            up = ask("sum(count_over_time(up[1m]) >= bool 3)")["data"]["result"]
            if up and int(up[0]["value"][1]) == count:
                break
        except (OSError, ValueError, KeyError):
            pass
        if time.monotonic() > deadline:
            return wrong.append("Prometheus does not scrape every service")
        time.sleep(0.2)
    asked = empty = 0
    for where, expression in queries():
        answer = ask(expression)
        asked += 1
        if answer["status"] != "success":
            wrong.append(f"{where}: {answer['error']}")
        elif not answer["data"]["result"] and where.split(":")[0] != "alerts.yml":
            empty += 1
    rules = json.loads(get(address, "/api/v1/rules")[1])["data"]["groups"][0]["rules"]
    wrong += [f"alert {rule['name']}: {rule['lastError']}" for rule in rules if rule.get("lastError")]
    firing = [rule["name"] for rule in rules if rule["state"] == "firing"]
    wrong += [f"alert {name} fires on a healthy cluster" for name in firing]
    print(f"monitoring: {asked} queries evaluated, {empty} of the dashboards' without data; {len(rules)} alerts, {len(firing)} firing")


main()
