"""An image's server: started, watched until it is ready, its output drained, asked whether it is well, ended."""

import contextlib
import http.client
import os
import selectors
import shutil
import socket
import threading
from pathlib import Path

from fallow.core.job import HttpService
from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.endings import ending_fault, stopped_fault
from fallow.worker.contracts.http_exchange import Connections
from fallow.worker.contracts.session import Clock
from fallow.worker.engines.engine import EngineBroken, Network, Outcome, Running
from fallow.worker.faults import Fault, of_limits, seconds_said, submitters, workers
from fallow.worker.logs import CappedLog

MODELS_PATH = "/v1/models"  # every OpenAI-compatible server has it; for those without the health path
NOT_KNOWN = frozenset({404, 405, 501})
LOOK_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5)  # between looks at a server that starts
ASK_SECONDS = 5.0  # for an answer about its health
END_SECONDS = 5.0
BLOCK = 1 << 16
UNSAID_BYTES = 1 << 16  # of output between two chunks, kept for the next chunk's log


class ModelServer:
    """One started container whose server is reached at `port`. `directory` is the run's own and goes with it."""

    def __init__(self, running: Running, port: int, service: HttpService, directory: Path, clock: Clock) -> None:
        self.running = running
        self.connections = Connections(self._connect)
        self._clock = clock
        self._started = clock()
        self._port = port
        self._service = service
        self._directory = directory
        self._drain = Drain(running)

    @property
    def age(self) -> float:
        """Seconds since it was started, without those in which it was paused."""
        return self._clock() - self._started

    def begin(self, log: CappedLog) -> None:
        """What the server says from now on goes into this log."""
        self._drain.into(log)

    def detach(self) -> None:
        """The log belongs to a chunk that is over."""
        self._drain.into(None)

    def well(self) -> bool:
        """Whether it says so within a few seconds. Raises PermissionError when the worker has no way in."""
        status = self._ask(self._service.health_path)
        if status in NOT_KNOWN:
            status = self._ask(MODELS_PATH)
        # A server that knows neither path but answers has at least started to serve.
        return 200 <= status < 300 or status in NOT_KNOWN

    def outcome(self) -> Outcome | None:
        """How it ended, with its last words in the log; None while it runs."""
        if not self.running.poll():
            return None
        self._drain.finish()
        return self.running.wait(END_SECONDS)

    def close(self) -> None:
        self.connections.close()
        self.running.kill()
        self._drain.finish()
        self.running.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _connect(self) -> socket.socket:
        return self.running.connect(self._port)

    def _ask(self, path: str) -> int:
        """The status of a GET; 0 when there is no answer in time."""
        try:
            held = self._connect()
        except PermissionError:
            raise
        except OSError:
            return 0
        # The whole answer is waited for, so a server that trickles bytes must be cut from outside.
        timer = threading.Timer(ASK_SECONDS, _shut, [held])
        timer.daemon = True
        connection = http.client.HTTPConnection("localhost")
        connection.sock = held
        timer.start()
        try:
            connection.request("GET", path, headers={"Connection": "close", "User-Agent": "fallow-worker"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError):
            return 0
        finally:
            timer.cancel()
            held.close()


class Drain:
    """Reads what a run writes, for as long as it runs, so that a full pipe never stops it."""

    def __init__(self, running: Running) -> None:
        self._lock = threading.Lock()
        self._log: CappedLog | None = None
        self._unsaid = b""
        # Descriptors of its own: were they closed elsewhere, their numbers could be another file's at the next look.
        self._descriptors = [os.dup(pipe.fileno()) for pipe in (running.stdout, running.stderr)]
        self._thread = threading.Thread(target=self._read_all, name="server-log", daemon=True)
        self._thread.start()

    def into(self, log: CappedLog | None) -> None:
        with self._lock:
            self._log = log
            if log is not None:
                log.write(self._unsaid)
                self._unsaid = b""

    def finish(self) -> None:
        """For a run that has ended: its last words are read. Something that outlives it may hold the pipes open."""
        self._thread.join(1.0)

    def _read_all(self) -> None:
        with selectors.DefaultSelector() as selector:
            for descriptor in self._descriptors:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    data = _read(key.fd)
                    if data:
                        self._take(data)
                    else:
                        selector.unregister(key.fd)
                        os.close(key.fd)

    def _take(self, data: bytes) -> None:
        with self._lock:
            if self._log is None:
                self._unsaid = (self._unsaid + data)[-UNSAID_BYTES:]
                return
            # A disk that is full stops the chunk when its answers are written; the server must go on being read.
            with contextlib.suppress(OSError, ValueError):
                self._log.write(data)


def start_server(work: Work, began: float) -> "ModelServer | Fault":
    """A server that is ready, or why there is none. began: of the chunk, whose time limit holds here as well."""
    try:
        server = _start(work)
    except EngineBroken as broken:
        return workers("engine_error", str(broken))
    server.begin(work.log)
    try:
        fault = _until_ready(work, server, began)
    except PermissionError:
        server.close()
        sentence = "The worker has no way into the container's network."
        return workers("engine_error", sentence)
    if fault is not None:
        server.close()
        return fault
    return server


def backstop_seconds(work: Work) -> float:
    """After so long the engine itself ends a run that outlived its agent."""
    limits = work.assignment.limits
    return 4 * limits.chunk_timeout_seconds + limits.start_timeout_seconds + 600


def _start(work: Work) -> ModelServer:
    """Raises EngineBroken."""
    assignment = work.assignment
    directory = work.shelf.run_dir()
    # In a container the port is the job's; beside other programs of the machine it must be a free one.
    port = assignment.http.port if work.engine.isolates else _free_port()
    environment = assignment.environment("-", "-") | {"PORT": str(port), "AI_HTTP_PORT": str(port)}
    network = Network.OUTBOUND if assignment.outbound else Network.NONE
    try:
        running = work.engine.start(work.container(directory, environment, (), network, backstop_seconds(work)))
    except EngineBroken:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return ModelServer(running, port, assignment.http, directory, work.control.hold.now)


def _until_ready(work: Work, server: ModelServer, began: float) -> Fault | None:
    limits = work.assignment.limits
    looks = iter(LOOK_SECONDS)
    while not server.well():
        now = work.control.hold.now()
        if work.control.stopped:
            return stopped_fault(work)
        if (outcome := server.outcome()) is not None:
            return ending_fault(work, outcome, None) or submitters(
                "server_ended", "The image's server ended before it was ready."
            )
        if server.age > limits.start_timeout_seconds:
            said = seconds_said(limits.start_timeout_seconds)
            return of_limits("start_timeout", f"The image's server was not ready within the start timeout of {said}.")
        if now - began > limits.chunk_timeout_seconds:
            return chunk_timeout(work)
        work.control.wait(next(looks, LOOK_SECONDS[-1]))
    return None


def chunk_timeout(work: Work) -> Fault:
    said = seconds_said(work.assignment.limits.chunk_timeout_seconds)
    return of_limits("chunk_timeout", f"The chunk took longer than the chunk timeout of {said}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _shut(held: socket.socket) -> None:
    with contextlib.suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, BLOCK)
    except OSError:
        return b""
