# Sourced by ./run and ./test: makes .venv from the committed lock, or says exactly what is missing.
# Needs Python >= 3.11 with venv, nothing else, and no root.
# shellcheck shell=sh

say_missing() {
    printf 'clubsync: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return 0
        fi
    done
    return 1
}

# prepare NAME UV_SYNC_OPTIONS...: brings .venv in step with the lock, once for each NAME and lock.
prepare() {
    name=$1
    shift
    python=$(find_python) || say_missing "Python 3.11 or newer is missing." \
        "Debian, Ubuntu:  sudo apt-get install python3 python3-venv" \
        "macOS:           brew install python@3.13"
    stamp=".venv/.in-step-$name"
    wanted=$(cat pyproject.toml uv.lock environment.sh | cksum)
    if [ -x .venv/bin/clubsync ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] &&
        .venv/bin/python -c '' 2>/dev/null; then
        return 0
    fi
    [ -w . ] || say_missing "cannot write to $(pwd), where the environment (.venv) is made." \
        "Copy the project to a folder of your own and start it there."
    if ! .venv/bin/python -c '' 2>/dev/null || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        printf 'clubsync: making the environment (.venv) …\n' >&2
        rm -rf .venv
        "$python" -m venv .venv >/dev/null 2>&1 || {
            rm -rf .venv
            version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
            say_missing "Python's venv module is missing." \
                "Debian, Ubuntu:  sudo apt-get install python3-venv   (or python$version-venv)" \
                "macOS:           brew install python@3.13"
        }
    fi
    if [ ! -x .venv/bin/uv ]; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9' || say_missing \
            "could not install uv into .venv (see above)." \
            "Check the network and pip's settings (pip config list), then start again."
    fi
    printf 'clubsync: installing what uv.lock names …\n' >&2
    # Bytecode too: where PYTHONDONTWRITEBYTECODE is set, as in most containers, each process would
    # compile all that it imports anew, which is half of what a command takes.
    .venv/bin/uv sync --quiet --frozen --inexact --compile-bytecode "$@" || say_missing \
        "could not install the locked packages (see above)." \
        "Check the network, then start again: it goes on where it stopped."
    .venv/bin/python -m compileall -q -x '^\./\.' . || :
    printf '%s\n' "$wanted" >"$stamp"
}
