# Sourced by the other scripts: makes .venv at the root and installs into it, once for every set of pins.
# pyproject.toml has ranges; requirements.txt and requirements-dev.txt choose the version within each.
#
#   ensure_env NAME EXTRAS [REQUIREMENTS...]
#
# NAME names the stamp, EXTRAS are the package's extras ("test,check", or "" for none), REQUIREMENTS further files
# of pins that are installed without their dependencies. A stamp holds the hash of all pins, so later runs start at
# once.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
PYTHON="${PYTHON:-python3}"

ensure_env() {
    local name="$1" extras="$2" stamp wanted
    shift 2
    stamp="$VENV/.luxscaler-$name"
    wanted="$(cd "$ROOT" && cat pyproject.toml requirements.txt requirements-dev.txt "$@" | cksum) $extras $ROOT"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "LuxScaler needs Python 3.11 or newer; '$PYTHON' is $("$PYTHON" --version 2>&1). Set PYTHON to another." >&2
        exit 1
    fi
    echo "Installing into $VENV (once; some minutes) ..." >&2
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    # PyTorch first and alone: what comes after it must find this version, and no other, installed.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' "$ROOT/requirements.txt")" >&2
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$ROOT/requirements.txt" --constraint "$ROOT/requirements-dev.txt" \
        --editable "$ROOT${extras:+[$extras]}" >&2
    local file
    for file in "$@"; do
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$ROOT/$file" >&2
    done
    echo "$wanted" > "$stamp"
}

# The weights, each checked by its hash; whatever is there already stays.
ensure_weights() {
    "$VENV/bin/luxscaler" weights fetch --quiet "$@" >&2
}
