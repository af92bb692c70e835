"""Every route under /boinc. BOINC's own paths are kept, so that only the address changes for those who move over."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from fallow.web.deps import Door


def build_boinc(door: Door) -> Starlette:
    """The BOINC door, to be mounted at /boinc."""
    routes: list[BaseRoute] = []
    app = Starlette(routes=routes)
    app.state.door = door
    return app
