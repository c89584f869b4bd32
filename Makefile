# The two commands of the README are `make run` and `make test`; the rest is for those who change the code.

# Where cargo puts the programs.
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROGRAMS := -p wsk-standalone -p wsk-cli -p wsk-proxy
# The services of a cluster, beside them.
SERVICES := -p wsk-gateway -p wsk-controller -p wsk-invoker --features \
	wsk-gateway/service,wsk-controller/service,wsk-invoker/service,wsk-invoker/docker,wsk-cli/couchdb

.PHONY: run demo build test check lint bench clean cluster arm64

## Build, start the platform on its embedded default, create and invoke first actions, stay up.
run: build
	@standalone/tour.sh "$(TARGET)/release"

## Play a story from end to end on a platform of its own: a message in Slack is answered with the weather.
demo: build
	@cargo build --release -p wsk-demo
	@standalone/demo.sh "$(TARGET)/release"

## The same platform as a cluster on loopback, with Kafka and a server with CouchDB's interface; Ctrl-C stops all of it.
cluster:
	@.ci/need-cluster
	@cargo build --release $(PROGRAMS) $(SERVICES)
	@tests/cluster/cluster.sh "$(TARGET)/release"

## All programs for 64-bit ARM machines, built on this one, into target/arm64; root installs the compilers that are missing.
arm64:
	@.ci/build-arm64 $(PROGRAMS) $(SERVICES)

build:
	@echo "Building ferrowhisk, wsk and the action proxy (the first time takes some minutes) ..."
	@cargo build --release $(PROGRAMS)

## Install or start what the tests need, and run all of them.
test:
	@.ci/test

## What CI runs.
check: lint test

## Formatting, clippy over all features, and the repository's own checks.
lint:
	@bash -euc '. .ci/needs.sh; need_for_kafka'
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --all-features -- -D warnings
	cargo xtask check

## Measure the programs as images hold them against the baselines; QUICK=1 measures for three minutes, CLUSTER=1 a cluster as well.
bench:
	@cargo build --profile dist $(PROGRAMS) -p wsk-bench $(if $(CLUSTER),$(SERVICES) --features wsk-bench/kafka)
	@"$(TARGET)/dist/wsk-bench" $(if $(QUICK),--quick) --bin "$(TARGET)/dist"

clean:
	cargo clean
