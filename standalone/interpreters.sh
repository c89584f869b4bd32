# What actions of some kinds run on; read by the scripts beside it, which have a function `say`.

# Whether an interpreter is there that sandboxes can run: not a script that looks for it in somebody's home.
present() {
    local found
    for found in $(type -aP "$1"); do
        case $found in /usr/*|/bin/*) return 0 ;; esac
        if head -c 4 "$found" | grep -q ELF; then return 0; fi
    done
    return 1
}

# Installs an interpreter from Debian where that is possible without asking.
interpreter() {
    present "$1" && return 0
    local install="apt-get install -y --no-install-recommends $2"
    if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        say "Installing $2, which actions of this kind run on ..."
        local sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update -qq >/dev/null 2>&1 || true
        $sudo env DEBIAN_FRONTEND=noninteractive $install -qq >/dev/null 2>&1 || true
    fi
    present "$1" || { echo "Without $1 its actions are not offered; to have them: sudo $install"; return 1; }
}
