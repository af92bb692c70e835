"""GET /boinc/stats/...: what volunteers earned, for statistics sites; files of at most a day ago."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fallow.control.boinc.statistics import FILES, FOLDER
from fallow.core.refusals import Code, Refusal
from fallow.web.deps import door_of
from fallow.web.failures import refused

_TYPES: Final = {"xml": "text/xml", "gz": "application/gzip"}
_HEADERS: Final = {"cache-control": "public, max-age=3600, no-transform", "x-content-type-options": "nosniff"}


def statistics(request: Request) -> Response:
    """One of the files, whole."""
    door, name = door_of(request), request.path_params["name"]
    try:
        if not door.settings.boinc_statistics or name not in FILES:
            raise _nothing()
        head = door.places.artifacts.head(f"{FOLDER}/{name}")
        if head is None:
            raise _nothing()
        headers = {
            **_HEADERS,
            "content-type": _TYPES[name.rpartition(".")[2]],
            "content-length": str(head.size_bytes),
            "etag": f'"{_plain(head.etag)}"',
        }
        if request.headers.get("if-none-match") == headers["etag"]:
            del headers["content-length"]
            return Response(status_code=304, headers=headers)
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(door.places.artifacts.get(head.key, 0, head.size_bytes), headers=headers)
    except Refusal as refusal:
        return refused(refusal)


def _plain(etag: str) -> str:
    return "".join(each for each in etag if each.isalnum() or each in "-_.")


def _nothing() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no such file.", f"There may be {', '.join(FILES)}, made once a day.")


routes: Final = [Route("/stats/{name}", statistics, methods=["GET", "HEAD"])]
