"""A BOINC client's directories with one task in them, and the client's end of the talk with its program."""

import copy
import json
import mmap
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fallow.protocols.rest import work as wire
from tests.worker.workserver import WorkServer

RECORDED = Path(__file__).parent
CHANNEL = 1024
PROGRAM = "fallow-runner_100_x86_64-pc-linux-gnu"
SECONDS = 90.0


class Answers(msgspec.Struct, frozen=True):
    """answer.json, read by the wire's own structs."""

    answer_version: int
    worker_id: str
    public_key: bytes
    engine: str
    elapsed_seconds: float
    answers: tuple[wire.Report, ...]


class Tree:
    """One slot of one client. The program is started as the client does it: by its path, in the slot."""

    def __init__(self, root: Path, server: WorkServer, runner: bytes) -> None:
        self.root, self.server = root, server
        self.project = root / "projects" / "127.0.0.1_boinc"
        self.project.mkdir(parents=True)
        program = self.project / PROGRAM
        program.write_bytes(runner)
        program.chmod(0o755)
        self.slot = self.new_slot(0)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root)}
        self.process: subprocess.Popen[bytes] | None = None
        self.memory: mmap.mmap | None = None
        self.progress: dict[str, float] = {}

    def new_slot(self, number: int, **said: str) -> Path:
        """With an init_data.xml as a real client wrote it, its directories and `said` put in."""
        slot = self.root / "slots" / str(number)
        slot.mkdir(parents=True)
        text = (RECORDED / "init_data.xml").read_text()
        said = {"project_dir": str(self.project), "boinc_dir": str(self.root), "slot": str(number), **said}
        for tag, value in said.items():
            text = re.sub(rf"<{tag}>[^<]*</{tag}>", f"<{tag}>{value}</{tag}>", text)
        (slot / "init_data.xml").write_text(text)
        (slot / "boinc_mmap_file").write_bytes(bytes(8 * CHANNEL))
        return slot

    def beside(self, number: int) -> "Tree":
        """Another slot of the same client and project."""
        other = copy.copy(self)
        other.slot = other.new_slot(number)
        other.process = other.memory = None
        other.progress = {}
        return other

    def task(self, leases: Sequence[wire.Lease], name: str = "leases", **ticket: Any) -> None:
        """The slot's ticket, and what its addresses answer. name: of the latter."""
        self.leases_name = name
        self.wanted(leases)
        body = {
            "ticket_version": 1,
            "result": "job_r1_0",
            "worker_id": "b-17.1",
            "lease_url": f"{self.server.url}/bytes/{name}",
            "image_url": f"{self.server.url}/bytes/image",
            "inline_bytes_max": 32768,
            "answer_bytes_max": 1 << 20,
            "ai_batch": [{"job_id": each.job_id, "attempt_id": each.attempt_id} for each in leases],
            **ticket,
        }
        (self.slot / "ticket.json").write_text(json.dumps(body))

    def wanted(self, leases: Sequence[wire.Lease]) -> None:
        """What the server says from now on."""
        self.server.put(self.leases_name, b'{"leases":%s,"heartbeat_url":""}' % msgspec.json.encode(leases))

    def start(self) -> subprocess.Popen[bytes]:
        """As the client does, in a directory cleaned of what the start before it said."""
        for name in ("boinc_finish_called", "boinc_temporary_exit"):
            (self.slot / name).unlink(missing_ok=True)
        with (self.slot / "boinc_mmap_file").open("r+b") as file:
            file.write(bytes(8 * CHANNEL))
            file.flush()
            self.memory = mmap.mmap(file.fileno(), 8 * CHANNEL)
        with (self.slot / "stderr.txt").open("ab") as stderr:
            self.process = subprocess.Popen(
                [f"../../projects/{self.project.name}/{PROGRAM}"],
                cwd=self.slot,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=self.environment,
            )
        return self.process

    def run(self) -> int:
        """From start to end, with a heartbeat; the exit code."""
        self.start()
        return self.end()

    def end(self) -> int:
        """Waits, bounded, for the program's end, with a heartbeat; the exit code."""
        assert self.process is not None
        self.until(lambda: self.process.poll() is not None)
        self._hear()
        return self.process.returncode

    def until(self, true: Callable[[], object], beat: bool = True, seconds: float = SECONDS) -> None:
        """Waits, bounded, until this is so; the client stays alive meanwhile unless told otherwise."""
        until = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < until, f"it never became true; the program said:\n{self.stderr()}"
            if beat:
                self.say(4, "<heartbeat/>\n<wss>0.000000e+00</wss>\n")
            self._hear()
            time.sleep(0.05)

    def say(self, channel: int, text: str) -> None:
        """The client's words, unless the program has not read those before."""
        assert self.memory is not None
        start = channel * CHANNEL
        if not self.memory[start]:
            data = text.encode() + b"\0"
            self.memory[start + 1 : start + 1 + len(data)] = data
            self.memory[start] = 1

    def ask(self, word: str) -> None:
        """suspend, resume, quit, abort."""
        self.say(0, f"<{word}/>\n")

    def _hear(self) -> None:
        """Takes the program's word about its progress, if there is a new one."""
        assert self.memory is not None
        if self.memory[5 * CHANNEL]:
            text = bytes(self.memory[5 * CHANNEL + 1 : 6 * CHANNEL]).partition(b"\0")[0].decode()
            self.memory[5 * CHANNEL] = 0
            self.progress = {name: float(value) for name, value in re.findall(r"<(\w+)>([^<]*)</", text)}

    def stderr(self) -> str:
        return (self.slot / "stderr.txt").read_text()

    def later(self) -> list[str]:
        """The lines of boinc_temporary_exit; none where there is no such file."""
        path = self.slot / "boinc_temporary_exit"
        return path.read_text().splitlines() if path.exists() else []

    def failure(self) -> dict[str, Any]:
        """The one the server reads in the last line of stderr."""
        word, _, body = self.stderr().splitlines()[-1].partition(" ")
        assert word == "fallow-failure"
        return json.loads(body)

    def answer(self) -> Answers:
        return msgspec.json.decode((self.slot / "answer.json").read_bytes(), type=Answers)

    @property
    def finished(self) -> bool:
        path = self.slot / "boinc_finish_called"
        return path.exists() and path.read_text() == "0\n"

    def kept(self) -> list[str]:
        """The attempts that a restart will not repeat."""
        return sorted(each.name for each in self.slot.glob("fallow/done/[0-9]*"))

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
