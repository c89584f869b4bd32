# Sourced by scripts that compile. What cargo compiles anew depends on the packages and features that are asked for together; these
# are the two choices, so that nothing is compiled a third time. Beside them is only what `make run` builds.

services=wsk-gateway/service,wsk-controller/service,wsk-invoker/service,wsk-invoker/docker,wsk-cli/couchdb

# For `cargo test`: everything, with all adapters. The suites that need a component are run by their scripts, by name.
tests=(--release --workspace --features "$services,wsk-bus/test-util,wsk-store/test-util")

# For `cargo build`: the programs of a cluster, and what tests play with.
programs=(--release -p wsk-standalone -p wsk-cli -p wsk-proxy -p wsk-gateway -p wsk-controller -p wsk-invoker -p wsk-torture
    -p wsk-demo --features "$services,wsk-standalone/docker")
