"""A simulated worker: speaks the wire's bytes, runs the model, signs receipts; what goes wrong is chosen outside."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.protocols.rest import work as wire
from fallow.sim.deeds import Deed
from fallow.sim.model import Breakdown, Run, lie_to, run
from fallow.sim.server import Server
from fallow.sim.signing import Identity, identity_of, receipt_for, sealed
from fallow.sim.staged import Staged, stage

_ENCODE = msgspec.json.Encoder().encode
_SILENCE_SECONDS = 90.0  # longer than any lease without a heartbeat
Temper = Callable[[wire.Lease], Deed]
FORGER = identity_of(b"somebody else's key, 32 bytes...")


def honest(_lease: wire.Lease) -> Deed:
    """Nothing goes wrong."""
    return Deed.HONEST


@dataclass(slots=True)
class Running:
    """An attempt in progress. silent: no heartbeat names it. report: once it is made."""

    lease: wire.Lease
    deed: Deed
    started: Micros
    due: Micros
    report: wire.Report | None = None

    @property
    def silent(self) -> bool:
        return self.deed in (Deed.STALL, Deed.VANISH)


@dataclass(slots=True)
class SimWorker:
    """One machine. temper: what goes wrong with an attempt. seconds_per_item: how quick it is. slots: attempts at once.

    spool: reports that no server has acknowledged yet. They outlive a restart, as the agent's do on disk.
    """

    name: str
    identity: Identity
    rng: random.Random
    clock: Clock
    folder: Path
    caller: Caller
    label: str | None = None
    slots: int = 1
    seconds_per_item: float = 0.5
    temper: Temper = honest
    inline_bytes_max: int = 0
    session: str = ""
    joined: bool = False
    asleep_until: int = 0
    leaving: bool = False
    running: dict[int, Running] = field(default_factory=dict)
    spool: list[wire.Report] = field(default_factory=list)
    again: list[wire.Report] = field(default_factory=list)  # to be repeated though they were acknowledged
    said: list[wire.Ack] = field(default_factory=list)
    starts: int = 0

    @property
    def worker_id(self) -> str:
        return self.identity.worker_id

    def restart(self) -> None:
        """The agent was killed and started again: what ran is gone, what was spooled is not."""
        self.running.clear()
        self.joined = False
        self.session = ""

    def act(self, server: Server) -> bool:
        """One turn: finish what is due, say it, ask for more. True when something was said or given."""
        now = self.clock.now()
        if self.asleep_until > now:
            return False
        self._join(server)
        self._finish(server, now)
        reports = self.spool + self.again
        holding = [each.lease.attempt_id for each in self.running.values() if not each.silent and each.report is None]
        want = 0 if self.leaving else max(0, self.slots - len(self.running))
        ask = wire.Ask(
            worker_id=self.worker_id,
            session=self.session,
            want=want,
            reports=tuple(reports),
            holding=tuple(wire.Holding(attempt_id) for attempt_id in holding),
            leaving=self.leaving,
        )
        try:
            answer = server.ask(self.caller, _ENCODE(ask))
        except Refusal as refusal:
            if refusal.code is not Code.WORKER_UNKNOWN:
                raise
            self.joined = False
            return True
        self._take(answer, now)
        return bool(reports or answer.leases or answer.stop)

    def _join(self, server: Server) -> None:
        if self.joined:
            return
        if not self.session:
            self.starts += 1
            self.session = f"{self.name}-{self.starts}"
        hello = wire.Hello(
            public_key=self.identity.public_key,
            session=self.session,
            name=self.name,
            capability=wire.CapabilityMessage(
                platform="linux/amd64",
                cores=4.0,
                memory_bytes=8 << 30,
                disk_bytes=64 << 30,
                slots=self.slots,
                engines=("podman", "process"),
                contracts=("stream", "http", "files", "direct"),
            ),
            time=self.clock.now(),
            label=self.label,
            signature=self.identity.key.sign(b"fallow-hello:" + self.session.encode()),
        )
        self.inline_bytes_max = server.hello(self.caller, _ENCODE(hello)).inline_bytes_max
        self.joined = True

    def _take(self, answer: wire.Answer, now: Micros) -> None:
        self.spool.clear()
        self.again.clear()
        self.said.extend(answer.acks)
        for attempt_id in answer.stop:
            self.running.pop(attempt_id, None)
        for lease in answer.leases:
            deed = self.temper(lease)
            seconds = self.seconds_per_item * lease.item_count
            if deed is Deed.STALL:
                seconds = max(seconds, _SILENCE_SECONDS)
            self.running[lease.attempt_id] = Running(lease, deed, now, Micros(now + int(seconds * 1e6)))

    def _finish(self, server: Server, now: Micros) -> None:
        for attempt_id, each in list(self.running.items()):
            if each.due > now:
                continue
            if each.deed is not Deed.VANISH:
                report = self._report(server, each)
                self.spool.append(report)
                if each.deed is Deed.TWICE:
                    self.spool.append(report)
            del self.running[attempt_id]

    def repeat(self, report: wire.Report) -> None:
        """Say an old thing again with the next call."""
        self.again.append(report)

    def _report(self, server: Server, one: Running) -> wire.Report:
        lease, deed = one.lease, one.deed
        invented = _invented(deed, lease)
        if invented is not None:
            return wire.Report(lease.attempt_id, failure=invented)
        try:
            staged = stage(server, lease, self.folder)
        except Refusal as refusal:
            return wire.Report(lease.attempt_id, failure=_unstaged(refusal))
        ran = run(staged.lines, staged.refusals)
        if deed is Deed.LIE:
            ran = _lied(ran, staged, self.name)
        if ran.breakdown is not None:
            return self._broken(server, one, staged, ran)
        return self._answered(server, one, staged, list(ran.answers))

    def _answered(self, server: Server, one: Running, staged: Staged, answers: list[bytes]) -> wire.Report:
        lease, deed = one.lease, one.deed
        if deed is Deed.SHORT:
            answers = answers[:-1]
        envelope, data, uri = self._sealed(one, staged, answers)
        if deed is Deed.CORRUPT:
            data = bytes([data[0] ^ 1]) + data[1:] if data else b"x"
        if lease.contract == "direct":
            if deed is not Deed.MISSING:
                server.put(f"{lease.output_url}/{uri.rpartition('/')[2]}", data)
            return wire.Report(lease.attempt_id, envelope)
        if len(data) <= self.inline_bytes_max:
            return wire.Report(lease.attempt_id, envelope, None if deed is Deed.MISSING else data)
        if deed is not Deed.MISSING:
            server.put(lease.upload_url, data)
        return wire.Report(lease.attempt_id, envelope)

    def _sealed(self, one: Running, staged: Staged, answers: list[bytes]) -> tuple[bytes, bytes, str]:
        lease, deed = one.lease, one.deed
        uri = f"{lease.output_url}/answers.jsonl" if lease.contract == "direct" else lease.artifact_uri
        receipt = receipt_for(lease, answers, self.worker_id, staged.sha256, uri, one.started, self.clock.now())
        if deed is Deed.SHORT:
            receipt = replace(receipt, item_end=lease.item_start + lease.item_count - 1)
        if deed is Deed.MISLABEL:
            receipt = replace(receipt, item_start=receipt.item_start + 1, item_end=receipt.item_end + 1)
        envelope = sealed(receipt, FORGER if deed is Deed.FORGE else self.identity)
        return envelope, b"".join(line + b"\n" for line in answers), uri

    def _broken(self, server: Server, one: Running, staged: Staged, ran: Run) -> wire.Report:
        """A failure, with the finished head where the contract knows it."""
        lease, breakdown = one.lease, ran.breakdown
        assert breakdown is not None
        tells = breakdown.tells and lease.contract == "stream"
        done = len(ran.answers) if tells else 0
        failure = _failure(breakdown, done, lease.item_start + done if tells else None)
        if not done:
            return wire.Report(lease.attempt_id, failure=failure)
        head = self._answered(server, replace(one, deed=_of_head(one.deed)), staged, list(ran.answers[:done]))
        return msgspec.structs.replace(head, failure=failure)


def _of_head(deed: Deed) -> Deed:
    """A head that is a line short is a head of its own length."""
    return Deed.HONEST if deed is Deed.SHORT else deed


def _failure(breakdown: Breakdown, done: int, bad_item: int | None) -> wire.Failure:
    return wire.Failure(
        breakdown.failure_class, breakdown.code, breakdown.message, done, bad_item, 3, "the last words of the image"
    )


def _invented(deed: Deed, lease: wire.Lease) -> wire.Failure | None:
    """A failure that has nothing to do with the items."""
    if deed is Deed.BREAK:
        return wire.Failure("worker", "disk_full", "The worker's disk is full.")
    if deed is Deed.STOP:
        return wire.Failure("aborted", "stopped", "The owner stopped the worker.")
    if deed is Deed.UNLUCKY:
        return wire.Failure("ours", "input_unreadable", "The object store could not be reached.")
    if deed is Deed.WOLF:
        return wire.Failure("submitter", "exit_code", "The image ended with exit code 9.", 0, lease.item_start)
    if deed is Deed.CHOKE:
        return wire.Failure("limits", "chunk_timeout", "The chunk was not done in time.")
    return None


def _unstaged(refusal: Refusal) -> wire.Failure:
    if refusal.code in (Code.INPUT_CHANGED, Code.INPUT_MISSING):
        return wire.Failure("submitter", "input_changed", "The input has changed since the job was planned.")
    return wire.Failure("ours", "input_unreadable", "The input could not be fetched.")


def _lied(ran: Run, staged: Staged, liar: str) -> Run:
    numbers = range(len(staged.lines))
    return Run(tuple(lie_to(n, liar) for n in numbers))
