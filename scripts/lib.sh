# shellcheck shell=bash
# What the scripts share. Source it from a script that has set `-euo pipefail`.

# The repository's root.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Where cargo builds, and where everything that is made at run time goes.
# shellcheck disable=SC2034  # used by the scripts that source this
target=${CARGO_TARGET_DIR:-$root/target}

# Prints one line about what is being done.
say() { printf '==> %s\n' "$*"; }

# Prints one line about what is wrong, and stops.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# True if a command of this name can be run.
have() { command -v "$1" >/dev/null 2>&1; }

# Installs the Debian packages named, those that are missing; says so, and stops with one line where it may not.
install_packages() {
    local missing=() package
    for package in "$@"; do
        if [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) != installed ]]; then
            missing+=("$package")
        fi
    done
    ((${#missing[@]})) || return 0

    local as_root=()
    if ((EUID != 0)); then
        if ! have sudo || ! sudo --non-interactive true 2>/dev/null; then
            fail "these Debian packages are missing and only root can install them: ${missing[*]}"
        fi
        as_root=(sudo --non-interactive)
    fi
    say "installing Debian packages: ${missing[*]}"
    # RUNLEVEL=1 keeps packages from starting their services.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o Dpkg::Use-Pty=0)
    "${apt[@]}" update
    "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Ends a process that this script started, with a signal (-TERM, -KILL, ...), and waits until it is gone.
end() {
    if kill "$1" "$2" 2>/dev/null; then wait "$2" 2>/dev/null || true; fi
}
