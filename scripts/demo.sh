#!/bin/sh
# The demo: embeds 2,000 descriptions of Debian packages in containers, proves the result, and searches in it.
set -eu
cd "$(dirname "$0")/.."
fallow=.venv/bin/fallow
data=images/embed/data
image=.cache/images/embed

echo "==> Image"
"$fallow" image build images/embed/spec.toml -o "$image" ${BASE:+--base "$BASE"}

echo "==> 2,000 descriptions, in containers"
"$fallow" run "$data/packages.jsonl" --image "oci:$image" --output demo-out --overwrite --workers 2 --chunk-items 100

echo "==> Proof"
"$fallow" verify demo-out

echo "==> Three searches"
queries=$(mktemp -d)
trap 'rm -rf "$queries"' EXIT
"$fallow" run "$data/queries.jsonl" --image "oci:$image" --output "$queries/out" --workers 1 >"$queries/log" 2>&1 || { cat "$queries/log"; exit 1; }
.venv/bin/python images/embed/search.py "$data/packages.jsonl" demo-out/output.jsonl "$data/queries.jsonl" "$queries/out/output.jsonl"

echo
echo "The result is in demo-out/: output.jsonl, errors.jsonl, manifest.json."
