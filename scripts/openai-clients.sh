#!/bin/sh
# Puts each pinned generation of the openai package into .cache/openai/VERSION, for tests/openai. Does nothing when
# nothing has changed.
set -eu
cd "$(dirname "$0")/.."
for pins in requirements/openai-*.txt; do
    version=${pins#requirements/openai-}
    version=${version%.txt}
    home=.cache/openai/$version
    sum=$(cat "$pins" scripts/openai-clients.sh | sha256sum)
    [ "$(cat "$home/.made-from" 2>/dev/null)" = "$sum" ] && continue
    echo "Fetching openai $version (once)"
    rm -rf "$home"
    mkdir -p "$home"
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target "$home" -r "$pins" 2>&1 |
        grep -v '^WARNING: Location' || true
    .venv/bin/python -c "import sys; sys.path[:0] = ['$home']; import openai; assert openai.__version__ == '$version'"
    echo "$sum" >"$home/.made-from"
done
