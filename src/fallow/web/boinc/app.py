"""Every route under /boinc. BOINC's own paths are kept, so that only the address changes for those who move over."""

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from fallow.web.boinc import attach, downloads, leases, scheduler, statistics, submit, uploads
from fallow.web.deps import Door
from fallow.web.failures import handlers


def build_boinc(door: Door) -> ASGIApp:
    """The BOINC door, to be mounted at /boinc."""
    app = Starlette(
        routes=[
            *scheduler.routes,
            *uploads.routes,
            *leases.routes,
            *downloads.routes,
            *attach.routes,
            *submit.routes,
            *statistics.routes,
        ],
    )
    app.exception_handlers.update(handlers())
    app.state.door = door
    return _SingleSlashes(app)


class _SingleSlashes:
    """BOINC's own bindings make "//submit_rpc_handler.php" of an address that ends with a slash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "//" in scope["path"]:
            path = scope["path"]
            while "//" in path:
                path = path.replace("//", "/")
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
