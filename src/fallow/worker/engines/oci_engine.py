"""Containers by the command line of podman or docker: one class, two flavours.

The command line is no slower than the API sockets, needs no service, keeps stdin and stdout as plain pipes, and with
podman leaves the mark of an out-of-memory kill, which the socket loses.
"""

import contextlib
import json
import os
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from fallow.core.refusals import Code, Refusal
from fallow.worker.engines.cgroup import usage_of
from fallow.worker.engines.engine import ContainerSpec, End, EngineBroken, Network, Outcome, Usage
from fallow.worker.engines.freezing import freeze, thaw
from fallow.worker.engines.gate import Gate, may_enter
from fallow.worker.engines.process import SECRETS

WORKER_LABEL = "io.fallow.worker"
ATTEMPT_LABEL = "io.fallow.attempt"
COMMAND_SECONDS = 60.0
START_SECONDS = 60.0
DEFAULT_USER = "1000:1000"
AMBIGUOUS = frozenset({125, 126, 127})  # the engine's own codes, which a program may use as well
KEEPS_OOM_STATE = 5  # from this major version on, podman itself knows that a container was out of memory


@dataclass(frozen=True, slots=True)
class Flavour:
    """How containers are run here, as the probe found out.

    program: "podman" or "docker". runtime: "" for the engine's default. ulimits: such as "nofile=1024:1024".
    limits: False where limits by control group are taken and ignored (an ordinary user on version 1).
    """

    program: str
    version: str = ""
    runtime: str = ""
    init: bool = True
    ulimits: tuple[str, ...] = ()
    rootless: bool = False
    limits: bool = True

    @property
    def podman(self) -> bool:
        return self.program == "podman"

    @property
    def removes_itself(self) -> bool:
        """Whether --rm may be used: where the engine must be asked how it ended, the container stays until then."""
        return self.podman and int("0" + self.version.partition(".")[0]) < KEEPS_OOM_STATE

    def base(self) -> list[str]:
        """The program and its global options."""
        return [self.program, *(["--runtime", self.runtime] if self.podman and self.runtime else [])]


def flavour_words(flavour: Flavour) -> str:
    """The flavour as text, for a worker that another process starts with what it has found out."""
    return json.dumps(asdict(flavour))


def flavour_of(words: str) -> Flavour:
    """Reads flavour_words. Raises Refusal SETTING_INVALID for other text."""
    try:
        fields = json.loads(words)
        return Flavour(**{**fields, "ulimits": tuple(fields["ulimits"])})
    except (ValueError, KeyError, TypeError):
        raise Refusal(Code.SETTING_INVALID, "This is no flavour of an engine.", "Leave --flavour out.") from None


def run_arguments(flavour: Flavour, spec: ContainerSpec, worker_id: str, user: str) -> list[str]:
    """The whole command line of one run. user: "" leaves the image's own."""
    podman = flavour.podman
    arguments = [
        *flavour.base(),
        "run",
        "--interactive",
        "--pull=never",
        "--cidfile=cid",
        "--read-only",
        f"--tmpfs=/tmp:rw,nosuid,nodev,mode=1777,size={spec.tmp_bytes}",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        f"--label={WORKER_LABEL}={worker_id}",
        f"--label={ATTEMPT_LABEL}={spec.attempt}",
    ]
    if podman:
        arguments += ["--read-only-tmpfs=false", "--log-driver=passthrough", "--pidfile=pid"]
        arguments += [f"--timeout={int(spec.timeout_seconds) + 1}"] if spec.timeout_seconds else []
        arguments += ["--http-proxy=false"] if spec.network is Network.NONE else []
    else:
        arguments += ["--log-driver=none", *([f"--runtime={flavour.runtime}"] if flavour.runtime else [])]
    arguments += ["--rm"] if flavour.removes_itself else []
    arguments += ["--init"] if flavour.init else []
    arguments += [f"--ulimit={each}" for each in flavour.ulimits]
    arguments += [] if spec.network is Network.OUTBOUND else [f"--network={spec.network}"]
    arguments += [*_limits(flavour, spec), *_accelerators(flavour, spec)]
    if user:
        arguments += ["--userns=keep-id"] if flavour.rootless else []
        arguments += [f"--user={os.getuid()}:{os.getgid()}" if flavour.rootless else f"--user={user}"]
    for mount in spec.mounts:
        mode = "rw,nosuid,nodev,noexec" if podman and mount.writable else "rw" if mount.writable else "ro"
        arguments.append(f"--volume={mount.source}:{mount.target}:{mode}")
    arguments += [f"--env={name}={value}" for name, value in sorted(spec.env.items())]
    return [*arguments, spec.image_id, *spec.command]


def _limits(flavour: Flavour, spec: ContainerSpec) -> list[str]:
    """Memory, processors and processes; where those are ignored, a limit of each process's own memory is better than
    none."""
    if not flavour.limits:
        return [f"--ulimit=data={spec.memory_bytes}:{spec.memory_bytes}"] if spec.memory_bytes is not None else []
    arguments = [f"--pids-limit={spec.pids}"]
    if spec.memory_bytes is not None:
        arguments += [f"--memory={spec.memory_bytes}", f"--memory-swap={spec.memory_bytes}"]
    if spec.yielding and not flavour.podman:
        arguments.append("--cpu-shares=16")  # as nice 19, which what a daemon starts does not inherit
    return arguments + ([f"--cpus={spec.cpus:g}"] if spec.cpus is not None else [])


def _accelerators(flavour: Flavour, spec: ContainerSpec) -> list[str]:
    """The machine's GPUs, and shared memory for libraries that talk between them through it; a share of 64 MiB, the
    engines' default, ends such programs."""
    if not spec.accelerators:
        return []
    which = "all" if spec.accelerator is None else str(spec.accelerator)
    docker = "--gpus=all" if spec.accelerator is None else f"--gpus=device={which}"
    gpus = f"--device=nvidia.com/gpu={which}" if flavour.podman else docker
    return [gpus, f"--shm-size={max(spec.tmp_bytes, 64 << 20)}"]


class OciEngine:
    """Containers of one flavour, labelled with their worker so that the next agent finds what this one leaves."""

    isolates = True

    def __init__(self, flavour: Flavour, worker_id: str) -> None:
        self.flavour = flavour
        self.name = flavour.program
        self._worker_id = worker_id
        self._users: dict[str, str] = {}

    @property
    def reaches(self) -> bool:
        """Whether this worker can enter its containers' network. An ordinary user's containers of podman are that
        user's own; all others belong to root, whoever may start them."""
        return self.flavour.rootless or may_enter()

    def start(self, spec: ContainerSpec) -> "RunningContainer":
        user = "" if self._image_user(spec.image_id) else DEFAULT_USER
        arguments = run_arguments(self.flavour, spec, self._worker_id, user)
        # Its own working directory: podman's monitor leaves the out-of-memory mark there.
        try:
            client = subprocess.Popen(
                arguments,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=spec.run_dir,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as wrong:
            raise EngineBroken(f"{self.name} cannot be started: {wrong.strerror}.") from None
        return RunningContainer(client, spec.run_dir, self)

    def reap(self) -> int:
        """Removes every container with this worker's label, running or not."""
        listed = self.command("ps", "--all", "--quiet", f"--filter=label={WORKER_LABEL}={self._worker_id}")
        found = listed.stdout.split() if listed.returncode == 0 else []
        for container in found:
            self.remove(container)
        return len(found)

    def remove(self, container: str) -> None:
        """Kills what runs and removes the container; harmless when it is gone."""
        self.command("rm", "--force", *(["--time=0"] if self.flavour.podman else []), container)

    def state(self, container: str) -> dict[str, object]:
        """What the engine knows about a container; empty when it is gone."""
        answer = self.command("container", "inspect", "--format={{json .State}}", container)
        try:
            state = json.loads(answer.stdout)
        except ValueError:
            return {}
        return state if isinstance(state, dict) else {}

    def has_image(self, image: str) -> bool:
        return self.command("image", "inspect", "--format={{.Id}}", image).returncode == 0

    def image_id(self, image: str) -> str:
        """The id of the image with this name, without "sha256:" doubled; "" when it is not there."""
        answer = self.command("image", "inspect", "--format={{.Id}}", image)
        found = answer.stdout.strip() if answer.returncode == 0 else ""
        return found if not found or ":" in found else f"sha256:{found}"

    def command(
        self,
        *arguments: str,
        seconds: float = COMMAND_SECONDS,
        stdin: "IO[bytes] | None" = None,
        cwd: Path | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """One call of the engine; a call that hangs is killed and counts as failed."""
        try:
            return subprocess.run(
                [*self.flavour.base(), *arguments],
                stdin=stdin or subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                cwd=cwd,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(arguments, 124, "", f"{self.name} did not answer within {seconds:g} s")
        except OSError as wrong:
            return subprocess.CompletedProcess(arguments, 127, "", f"{self.name}: {wrong.strerror}")

    def _image_user(self, image: str) -> str:
        if image not in self._users:
            answer = self.command("image", "inspect", "--format={{.Config.User}}", image)
            if answer.returncode:
                raise EngineBroken(f"{self.name} does not have the image.")
            self._users[image] = answer.stdout.strip()
        return self._users[image]


class RunningContainer:
    """A client of the engine, attached to its container."""

    def __init__(self, client: "subprocess.Popen[bytes]", run_dir: Path, engine: OciEngine) -> None:
        assert client.stdin
        assert client.stdout
        assert client.stderr
        self.stdin: IO[bytes] = client.stdin
        self.stdout: IO[bytes] = client.stdout
        self.stderr: IO[bytes] = client.stderr
        self._client = client
        self._run_dir = run_dir
        self._engine = engine
        self._killed = False
        self._outcome: Outcome | None = None
        self._usage = Usage()
        self._closed = False
        self._gate: Gate | None = None

    def poll(self) -> bool:
        return self._client.poll() is not None

    def wait(self, timeout_seconds: float) -> Outcome | None:
        if self._outcome is None:
            try:
                code = self._client.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                return None
            self._outcome = self._judged(code)
        return self._outcome

    def kill(self) -> None:
        if self.poll():
            return
        self._killed = True
        container = self._container(wait=True)
        if container:
            self._engine.remove(container)
        try:
            self._client.wait(5.0)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._client.pid, 9)
            self._client.wait()

    def freeze(self) -> bool:
        """Whether nothing of it runs until thaw(); also when it is over."""
        container = self._container(wait=True)
        done = bool(container) and freeze(self._engine.command, container, self.first_process(), self._prefix)
        return done or self.poll()

    def thaw(self) -> bool:
        """Whether it goes on; also when it is over."""
        container = self._container(wait=False)
        done = bool(container) and thaw(self._engine.command, container, self.first_process(), self._prefix)
        return done or self.poll()

    def connect(self, port: int) -> socket.socket:
        if self._gate is None:
            self._gate = self._opened_gate()
        return self._gate.connect(port)

    def _opened_gate(self) -> Gate:
        """A way into the container's network namespace. Raises OSError."""
        pid = self.first_process()
        if not pid or self.poll():
            raise ConnectionRefusedError("the container does not run")
        gate = Gate(pid, self._prefix, _environment())
        if self.poll():
            # The number may have been another process's by then.
            gate.close()
            raise ConnectionRefusedError("the container has ended")
        return gate

    @property
    def _prefix(self) -> tuple[str, ...]:
        """An ordinary user's containers live in a user namespace of podman's, which must be entered first."""
        return ("podman", "unshare") if self._engine.flavour.rootless else ()

    def usage(self) -> Usage:
        pid = self._pid()
        now = usage_of(pid) if pid and not self.poll() else Usage()
        self._usage = Usage(
            max(self._usage.cpu_seconds, now.cpu_seconds), max(self._usage.memory_bytes_max, now.memory_bytes_max)
        )
        return self._usage

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._gate is not None:
            self._gate.close()
        self.kill()
        for pipe in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        container = self._container(wait=False)
        if container and not self._engine.flavour.removes_itself:
            self._engine.remove(container)

    def _judged(self, code: int) -> Outcome:
        """What the client's exit code means. The engine's marks are asked, because programs can imitate its codes."""
        if self._killed:
            return Outcome(End.KILLED, 137)
        state = self._state()
        if (self._run_dir / "oom").exists() or state.get("OOMKilled") is True:
            return Outcome(End.OUT_OF_MEMORY, 137)
        if code < 0:
            return Outcome(End.ENGINE_ERROR, message=f"{self._engine.name} was killed with signal {-code}.")
        if code in AMBIGUOUS and not self._ever_ran(state):
            return Outcome(End.ENGINE_ERROR, message=f"{self._engine.name} could not run the container.")
        return Outcome(End.EXITED, code)

    def _ever_ran(self, state: dict[str, object]) -> bool:
        """podman writes the pid file, docker notes a pid or a start without error, once the program was started."""
        if self._engine.flavour.podman:
            return self._pid() > 0
        return bool(state) and not state.get("Error") and state.get("Status") != "created"

    def _state(self) -> dict[str, object]:
        if self._engine.flavour.removes_itself:
            return {}
        container = self._container(wait=False)
        return self._engine.state(container) if container else {}

    def _container(self, wait: bool) -> str:
        """The container's id; waits, bounded, while the client still starts it."""
        until = time.monotonic() + (START_SECONDS if wait else 0.0)
        while True:
            try:
                container = (self._run_dir / "cid").read_text().strip()
            except OSError:
                container = ""
            if container or self.poll() or time.monotonic() >= until:
                return container
            time.sleep(0.02)

    def first_process(self) -> int:
        """The container's first process, as this machine counts; 0 when there is none (yet)."""
        if self._engine.flavour.podman:
            return self._pid()
        container = self._container(wait=False)
        found = self._engine.state(container).get("Pid") if container else 0
        return found if isinstance(found, int) else 0

    def _pid(self) -> int:
        try:
            return int((self._run_dir / "pid").read_text())
        except (OSError, ValueError):
            return 0


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SECRETS}
