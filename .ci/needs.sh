# Sourced by scripts that need programs which a bare Debian does not have: installs them where that is possible without asking.
# Exit code 77 of such a script says that something cannot be had here, which is not a failure of what it tests.

# need PROGRAM PACKAGE ...: from Debian, unless the program is there.
need() {
    command -v "$1" >/dev/null || install_from_debian "$@"
}

# need_file FILE PACKAGE ...: the same for what is no program.
need_file() {
    [ -e "$1" ] || install_from_debian "$@"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_from_debian() {
    local what=$1
    shift
    echo "${0##*/}: installing $*" >&2
    local install=(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@")
    # The lists of a fresh machine are empty or old.
    if "${install[@]}" >/dev/null 2>&1 || { as_root apt-get update -qq && "${install[@]}"; } >/dev/null 2>&1; then
        return 0
    fi
    echo "${0##*/}: there is no $what, and it cannot be installed here: as root, apt-get install $*" >&2
    exit 77
}

# What librdkafka is compiled with.
need_for_kafka() {
    need g++ g++
    need make make
    need pkg-config pkg-config
    need_file /usr/include/openssl/ssl.h libssl-dev
}

# cannot_be_had WHAT: what comes from a package registry does not.
cannot_be_had() {
    echo "${0##*/}: $1 cannot be fetched, see above" >&2
    exit 77
}
