"""The http contract: the image serves an OpenAI-compatible API, and the worker sends it items, several at once.

The server is started once per job and stays warm for the job's next chunks. Its container has no network but its own
loopback address. Answers come in any order and are written in item order.
"""

from concurrent.futures import ThreadPoolExecutor

from fallow.core.words import Reuse
from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.http_feed import Feed, Place
from fallow.worker.contracts.http_pace import Pace
from fallow.worker.contracts.http_server import ModelServer, backstop_seconds, start_server
from fallow.worker.contracts.session import Key, session_key
from fallow.worker.contracts.stream import add_refused
from fallow.worker.engines.engine import Usage
from fallow.worker.faults import Fault


class HttpContract:
    """Keeps the server for the job's next chunk where the job allows it."""

    def run(self, work: Work) -> Fault | None:
        add_refused(work)
        if work.answers.count == work.staged.count:
            return None
        began = work.control.hold.now()
        key = session_key(work.assignment, work.engine)
        session = work.shelf.take(key, work.assignment.limits.chunk_timeout_seconds)
        if not isinstance(session, HttpSession):
            started = start_server(work, began)
            if isinstance(started, Fault):
                return started
            session = HttpSession(key, started, work)
        return self._serve(work, session, began)

    def _serve(self, work: Work, session: "HttpSession", began: float) -> Fault | None:
        keep = False
        try:
            session.place.server.begin(work.log)
            with work.staged.items.open("rb") as source:
                fault = Feed(work, session.place, source, began).run()
            keep = fault is None and work.assignment.reuse is Reuse.JOB
            work.usage = session.usage()
        finally:
            session.place.server.detach()
            if keep:
                work.shelf.put(session)
            else:
                session.close()
        return fault


class HttpSession:
    """A started server with what was learnt about it, for one chunk after the other."""

    def __init__(self, key: Key, server: ModelServer, work: Work) -> None:
        self.key = key
        self.reused = False
        most = work.assignment.http.concurrency_max
        self.place = Place(server, Pace(most), ThreadPoolExecutor(most, "http-item"))
        self._backstop_seconds = backstop_seconds(work)
        self._told = Usage()

    def usable(self, chunk_seconds: float) -> bool:
        """Alive, and young enough that its backstop will not end the next chunk."""
        server = self.place.server
        young = server.age + chunk_seconds < self._backstop_seconds
        return young and not server.running.poll()

    def usage(self) -> Usage:
        """What was used since the last call."""
        now = self.place.usage()
        before, self._told = self._told, now
        return Usage(max(0.0, now.cpu_seconds - before.cpu_seconds), now.memory_bytes_max)

    def close(self) -> None:
        self.place.close()
