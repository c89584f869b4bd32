# What actions of some kinds run on; read by the scripts beside it, which have a function `say`.

# Installs an interpreter from Debian where that is possible without asking.
interpreter() {
    command -v "$1" >/dev/null && return 0
    local install="apt-get install -y --no-install-recommends $2"
    if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        say "Installing $2, which actions of this kind run on ..."
        local sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -qq >/dev/null 2>&1 || true
        $sudo env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null 2>&1 || true
    fi
    command -v "$1" >/dev/null || { echo "Without $1 its actions are not offered; to have them: sudo $install"; return 1; }
}
