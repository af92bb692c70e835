"""A server inside another program: for `fallow run` and for tests."""

import threading
from dataclasses import dataclass, replace
from typing import Final

from fallow.control.callers import OPERATORS, Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope
from fallow.settings import Settings
from fallow.wiring.logs import configure_logs
from fallow.wiring.serving import Listener, bound
from fallow.wiring.system import System, build, make_private, reachable

_START_SECONDS: Final = 30.0
_ITSELF: Final = Caller("", OPERATORS, frozenset(Scope))


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that listens on the loopback address. admin_key: good until stop()."""

    url: str
    admin_key: str
    system: System
    _listener: Listener
    _thread: threading.Thread
    _key_id: str

    def stop(self) -> None:
        """Finishes what is being answered, ends the roles and closes the database. Harmless when it is repeated."""
        if not self._thread.is_alive():
            return
        self._listener.should_exit = True
        self._thread.join()
        self.system.keys.revoke(_ITSELF, self._key_id)
        self.system.close()


def start_embedded(settings: Settings) -> EmbeddedServer:
    """Starts a server on 127.0.0.1, on any free port, in threads of this process. Its workers are on this machine.

    It logs to server.log in the data directory, and so does whatever else this process logs.

    Raises what serve() raises.
    """
    make_private(settings.data_dir)
    configure_logs((settings.data_dir / "server.log").open("a", buffering=1), level=settings.log_level)
    door = bound("127.0.0.1:0")
    settings = reachable(replace(settings, listen="127.0.0.1:0", public_url="", roles="all"), door.getsockname()[1])
    try:
        system = build(settings, workers_here=True)
    except BaseException:
        door.close()
        raise
    listening = threading.Event()
    listener = Listener(system, listening.set)
    thread = threading.Thread(target=listener.run, args=([door],), name="door", daemon=True)
    row, key = system.keys.create(_ITSELF, "embedded", frozenset(Scope))
    system.roles.start()
    thread.start()
    if not listening.wait(_START_SECONDS):
        raise Refusal(Code.SERVER_UNREACHABLE, "The embedded server did not start.", "See its log.")
    return EmbeddedServer(settings.base_url, key, system, listener, thread, row.key_id)
