#!/bin/sh
# Pins every dependency, with hashes and without registry addresses. Run after changing pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"; }
compile pyproject.toml -o requirements/worker.txt
compile pyproject.toml --extra server -o requirements/server.txt
compile pyproject.toml --extra server --extra traces --extra executor --extra tables --group dev -o requirements/dev.txt
