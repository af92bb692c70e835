"""A server as a process: the door in this thread, the roles in others."""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

import structlog
import uvicorn
from prometheus_client import start_http_server

from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings
from fallow.wiring.logs import configure_logs
from fallow.wiring.patience import connection_class, give_up_overdue
from fallow.wiring.system import System, build, reachable

OnReady = Callable[[str, str | None], None]  # (URL, the first admin key, at the first start only)
_GRACE_SECONDS: Final = 10
_KEEP_ALIVE_SECONDS: Final = 75  # longer than workers rest between calls
_log = structlog.get_logger("fallow.server")


def serve(settings: Settings, on_ready: OnReady) -> None:
    """Serves until SIGTERM or SIGINT; then what is being answered is finished first.

    Raises Refusal SETTING_INVALID when it cannot listen, STORAGE_UNREACHABLE when rows or bytes cannot be reached.
    """
    configure_logs(level=settings.log_level, form=settings.log_format)
    if has_door(settings):
        with bound(settings.listen) as door:
            settings = reachable(settings, door.getsockname()[1])
            _run(
                settings,
                on_ready,
                lambda system, ready: Listener(system, ready).run(sockets=[door]),
            )
    else:
        _run(settings, on_ready, lambda _system, ready: _wait_for_end(ready))


def _run(settings: Settings, on_ready: OnReady, until_end: Callable[[System, Callable[[], None]], None]) -> None:
    system = build(settings)
    try:
        key = system.keys.first()
        _start_metrics(system)
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not walk it again and again
        system.roles.start()
        _log.info("server.started", url=settings.base_url, dialect=system.store.dialect, roles=settings.roles)
        until_end(system, lambda: on_ready(settings.base_url, key))
    finally:
        system.close()
        _log.info("server.stopped")


def _start_metrics(system: System) -> None:
    """/metrics beside the door's, where one is wanted. Raises Refusal SETTING_INVALID when it cannot listen."""
    host, _, port = system.settings.metrics_listen.rpartition(":")
    if not port:
        return
    try:
        start_http_server(int(port), host or "127.0.0.1", system.door.counters.registry)
    except OSError as wrong:
        raise Refusal(
            Code.SETTING_INVALID,
            f"Metrics cannot be served at {system.settings.metrics_listen}: {wrong.strerror}.",
            "Choose another address with --metrics-listen.",
        ) from None


def has_door(settings: Settings) -> bool:
    return bool({"all", "door"} & {each.strip() for each in settings.roles.split(",")})


class Listener(uvicorn.Server):
    """uvicorn that says when it listens and when it stops listening."""

    def __init__(self, system: System, listening: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                system.app,
                http=connection_class(system.settings.client_seconds),
                ws="none",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._listening = listening
        self._closing = system.door.closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._listening()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            give_up_overdue(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Without uvicorn's habit of raising the signal again at the end, which would cut off whoever runs it."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def bound(listen: str) -> socket.socket:
    """A listening socket. Port 0: any. Raises Refusal SETTING_INVALID."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        found = socket.create_server((host, int(port)), family=family, backlog=2048)
    except (OSError, ValueError) as wrong:
        raise Refusal(
            Code.SETTING_INVALID,
            f"The server cannot listen on {listen}: {getattr(wrong, 'strerror', None) or wrong}.",
            "Choose another address with --listen HOST:PORT.",
        ) from None
    found.set_inheritable(False)
    return found


def _wait_for_end(ready: Callable[[], None]) -> None:
    over = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: over.set())
    ready()
    over.wait()
