# Sourced by tests that have images of their own: a registry on loopback that asks who one is, and images that say what they run
# on. FERROWHISK_TEST_REGISTRY names its program, which .ci/fetch-registry builds; DOCKER_HOST the engine.

registry_user=ada registry_password=letmein

# open_registry FOLDER: sets `registry`, where it listens, and `registry_process`, which is to be ended; the requests that it
# gets are in FOLDER/registry.log.
open_registry() {
    registry=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    # shellcheck disable=SC2016
    echo 'ada:$2y$05$abcdefghijklmnopqrstuuKwWV7ESJpzKzf9FQg57dBvMuv92X9HS' >"$1/users"
    cat >"$1/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $1/images}}
http: {addr: '$registry'}
auth: {htpasswd: {realm: test, path: $1/users}}
YML
    "$FERROWHISK_TEST_REGISTRY" serve "$1/registry.yml" >"$1/registry.log" 2>&1 &
    registry_process=$!
    export DOCKER_CONFIG=$1/docker
    for _ in $(seq 300); do
        if docker login --username "$registry_user" --password-stdin "$registry" <<<"$registry_password" >"$1/login" 2>&1; then return; fi
        kill -0 "$registry_process" 2>/dev/null || break
        sleep 0.1
    done
    cat "$1/login" "$1/registry.log" >&2
    return 1
}

# pushed NAME ARCHITECTURE PROGRAM: an image of a static program alone, in the registry and on the engine.
pushed() {
    local context
    context=$(mktemp -d)
    cp "$3" "$context/program"
    printf 'FROM scratch\nCOPY program /\nCMD ["/program"]\n' >"$context/Dockerfile"
    docker build --quiet --platform "linux/$2" --tag "$registry/$1" "$context" >"$context/said" 2>&1 || { cat "$context/said" >&2; return 1; }
    rm -r "$context"
    docker push --quiet "$registry/$1" >/dev/null
}

# listed NAME OF ...: these images, which are in the registry, as variants of one.
listed() {
    local name=$1
    shift
    docker manifest create --insecure "$registry/$name" "${@/#/$registry/}" >/dev/null
    docker manifest push --insecure --purge "$registry/$name" >/dev/null
}
