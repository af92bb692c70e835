"""/static: the pages' own files and those that scripts/assets.sh fetched, held in memory.

The address holds a digest of all of them: /static/DIGEST/js/live.js. So a browser keeps them for ever, modules may
name each other by relative paths, and a new release is never mixed with an old one.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Static:
    data: bytes
    zipped: bytes
    media_type: str


@cache
def _all() -> tuple[str, Mapping[str, Static]]:
    """(digest, files by path)."""
    found = dict(sorted(_walk(files("fallow.web.ui") / "static", "")))
    digest = hashlib.sha256()
    for name, each in found.items():
        digest.update(f"{name}\0{len(each.data)}\0".encode() + each.data)
    return digest.hexdigest()[:16], found


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Static]]:
    for each in folder.iterdir():
        if each.is_dir():
            yield from _walk(each, f"{prefix}{each.name}/")
        elif media_type := _TYPES.get(each.name[each.name.rfind(".") :]):
            data = each.read_bytes()
            yield prefix + each.name, Static(data, gzip.compress(data, 9, mtime=0), media_type)


def url_of(name: str) -> str:
    """The address of a file. A file that was not fetched has one too: a page without it works, only less."""
    return f"/static/{_all()[0]}/{name}"


def static(request: Request) -> Response:
    """GET /static/{digest}/{name}. With another release's digest: this release's file, not to be kept."""
    digest, found = _all()
    each = found.get(request.path_params["name"])
    if each is None:
        return Response(status_code=404)
    fresh = request.path_params["digest"] == digest
    etag = f'"{digest}"'
    headers = {
        "etag": etag,
        "cache-control": _FOREVER if fresh else "no-cache",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(each.zipped, headers=headers | {"content-encoding": "gzip"}, media_type=each.media_type)
    return Response(each.data, headers=headers, media_type=each.media_type)
