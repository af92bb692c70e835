#!/bin/sh
# Makes .venv with fallow and the pinned dependencies in it, and fetches the web pages' parts. Does nothing when nothing
# has changed.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "fallow needs Python 3.11 or newer, and $python is $("$python" -V). Set PYTHON=/path/to/python3.11." >&2
    exit 1
}
sum=$(cat requirements/dev.txt pyproject.toml scripts/setup.sh | sha256sum)
[ -x .venv/bin/fallow ] && [ "$(cat .venv/.made-from 2>/dev/null)" = "$sum" ] && exec scripts/assets.sh
echo "Setting up .venv (once)"
"$python" -m venv --clear .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt 2>&1 | grep -v '^WARNING: Location' || true
.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
echo "$sum" >.venv/.made-from
exec scripts/assets.sh
