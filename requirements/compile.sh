#!/bin/sh
# Pins every dependency, with hashes and without registry addresses. Run after changing pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"; }
compile pyproject.toml -o requirements/worker.txt
for version in 1.40.0 1.109.1 2.54.0 3.54.0; do # generations of the openai package that tests/openai drives
    printf 'openai==%s\n' "$version" | { cat; [ "$version" = 1.40.0 ] && echo 'httpx<0.28' || :; } |
        compile - -o "requirements/openai-$version.txt" # 1.40 passes httpx an argument that 0.28 has not
done
compile pyproject.toml --extra server -o requirements/server.txt
compile pyproject.toml --extra server --extra traces --extra executor --extra tables --group dev -o requirements/dev.txt
