#!/usr/bin/env python3
"""Whether the operators' files say what is so: texts that docs/failures.md quotes are in the code, alerts name rows of it,
dashboards load, services take the configuration of docs/operations/compose, and its images are those of its Dockerfile.

usage: handbook.py FOLDER_OF_THE_PROGRAMS
"""
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPERATIONS = ROOT / "docs/operations"
CODE = ["crates", "gateway/src", "controller/src", "invoker/src"]


def rows():
    for line in (ROOT / "docs/failures.md").read_text().split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| **") and len(cells) == 5:
            yield cells


def quoted_texts():
    source = " ".join(path.read_text() for folder in CODE for path in (ROOT / folder).rglob("*.rs"))
    source = re.sub(r"\\\n\s*", "", source)
    for name, clients, log, *_ in rows():
        # Every second part of a cell stands between backticks.
        quotes = clients.split("`")[1::2] + log.split("`")[1::2]
        for text in (quote for quote in quotes if " " in quote):
            if f'"{text}' not in source and f'{text}"' not in source:
                yield f"failures.md: {name} quotes what no program says: {text}"


def alerts():
    names = [re.sub(r"\*", "", row[0]).lower() for row in rows()]
    text = (OPERATIONS / "prometheus/alerts.yml").read_text()
    for page in re.findall(r'page: "docs/failures.md, (.*)"', text):
        wanted = re.sub(r"^.*, an invoker is", "an invoker is", page).lower()
        if wanted not in names:
            yield f"alerts.yml: failures.md has no row called: {wanted}"
    told = (ROOT / "docs/failures.md").read_text()
    for alert in re.findall(r"- alert: (\w+)", text):
        if alert not in told and f"upgrade.md" not in text.split(f"- alert: {alert}")[1].split("- alert")[0]:
            yield f"failures.md: no row names the alert {alert}"


def dashboards():
    known = set()
    for file in (OPERATIONS / "grafana").glob("*.json"):
        board = json.loads(file.read_text())
        panels = [panel["id"] for panel in board["panels"]]
        if len(set(panels)) != len(panels) or board["uid"] in known:
            yield f"{file.name}: an id stands twice"
        known.add(board["uid"])


def configurations(programs):
    secret = "0123456789abcdef0123456789abcdef"
    compose = (OPERATIONS / "compose/compose.yaml").read_text()
    for service in ["gateway", "controller", "invoker"]:
        # The variables that compose.yaml gives it, with something for each value.
        named = set(re.findall(rf"FERROWHISK_{service.upper()}_\w+", compose))
        environment = os.environ | {name: "0" if name.endswith("_ID") else secret for name in named}
        file = OPERATIONS / f"compose/{service}.toml"
        program = [programs / f"ferrowhisk-{service}", "--config", file, "--print-config"]
        printed = subprocess.run(program, env=environment, capture_output=True, text=True)
        # An invoker for Docker is another build.
        without = "docker" in printed.stderr and service == "invoker"
        if printed.returncode != 0 and not without:
            yield f"{service}.toml: {printed.stderr.strip()}"


def images():
    compose = (OPERATIONS / "compose/compose.yaml").read_text()
    targets = set(re.findall(r"^FROM \w+ AS (\w+)", (OPERATIONS / "compose/Dockerfile").read_text(), re.M))
    named = re.findall(r"image: \$\{REGISTRY:-\}ferrowhisk/(\w+):.*\n\s+build: .*target: (\w+)", compose)
    if len(named) != 4:
        yield "compose.yaml: not every service has an image and a target"
    for image, target in named:
        if image != target or target not in targets:
            yield f"compose.yaml: image {image} is made from {target}, which is not so called in the Dockerfile"


def main():
    wrong = [*quoted_texts(), *alerts(), *dashboards(), *configurations(pathlib.Path(sys.argv[1])), *images()]
    for line in wrong:
        print(f"handbook: {line}")
    print(f"handbook: {len(list(rows()))} failures, {len(wrong)} of all these files' statements are not so")
    sys.exit(bool(wrong))


main()
