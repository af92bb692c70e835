"""The stream contract: one JSON line per item on stdin, one JSON line per item on stdout, in order.

Line n belongs to item n, so the progress, the bad item and the unstarted tail are known exactly.
"""

import json
from dataclasses import dataclass
from typing import BinaryIO

from fallow.core.words import FailureClass, Reuse
from fallow.worker.answers import is_error_answer, parse_json
from fallow.worker.contracts.contract import Work
from fallow.worker.contracts.endings import ending_fault, stopped_fault
from fallow.worker.contracts.pipes import Pipes
from fallow.worker.contracts.session import Session, session_key
from fallow.worker.engines.engine import EngineBroken, Network, Outcome, Usage
from fallow.worker.faults import Fault, bytes_said, of_limits, seconds_said, submitters, workers

STEP_SECONDS = 0.1
QUIET_SECONDS = 2.0  # all input is written and the program neither answers nor works: it waits for the end of its input
QUIET_CPU_SECONDS = 0.05
FIRST_GRACE_SECONDS = 0.5  # of silence after the last answer of a job's first chunk
GRACE_SECONDS = 0.001  # of later ones; longer where answers come slowly
GOODBYE_SECONDS = 5.0  # to end by itself after its last answer
CONTROL = b'{"$fallow"'


class StreamContract:
    """Keeps the container for the job's next chunk where the job allows it and the image can do it."""

    def run(self, work: Work) -> Fault | None:
        add_refused(work)
        if work.answers.count == work.staged.count:
            return None
        session = work.shelf.take(
            session_key(work.assignment, work.engine), work.assignment.limits.chunk_timeout_seconds
        )
        if isinstance(session, Session):
            fault, again = self._converse(work, session)
            if not again:
                return fault
            work.note("the warm container had ended; a fresh one takes the chunk")
        try:
            session = _start(work)
        except EngineBroken as broken:
            return workers("engine_error", str(broken))
        return self._converse(work, session)[0]

    def _converse(self, work: Work, session: Session) -> tuple[Fault | None, bool]:
        """The chunk's fault, and whether a fresh container should try: a warm one that ended before its first answer
        may have ended for reasons of its own."""
        before = session.used
        talk = Conversation(work, session)
        keep = again = False
        try:
            with work.staged.items.open("rb") as source:
                fault = talk.hold(source)
            keep = fault is None and talk.may_stay
            again = session.reused and fault is not None and talk.ended and not talk.answered
            session.used = session.running.usage()
            work.usage = _difference(session.used, before)
        finally:
            session.pipes.detach()
            if keep:
                work.shelf.put(session)
            else:
                session.close()
        return fault, again


@dataclass(slots=True)
class Conversation:
    """One chunk through one session."""

    work: Work
    session: Session
    answered: int = 0
    done: bool = False  # the harness said so
    ended: bool = False
    one_chunk: bool = False
    began: float = 0.0
    last: float = 0.0
    longest_gap: float = 0.0  # between two answers
    quiet_since: float = 0.0
    quiet_cpu: float = 0.0
    fault: Fault | None = None

    def hold(self, source: BinaryIO) -> Fault | None:
        """Feed, read and judge until the chunk is answered or at fault."""
        assignment, pipes = self.work.assignment, self.session.pipes
        self.one_chunk = not assignment.harness and (
            assignment.reuse is Reuse.NEVER or assignment.job_id in self.work.shelf.memory.ends_at_eof
        )
        self.began = self.last = self.quiet_since = self._now()
        pipes.begin(self.work.log, self._chunk_line(), source, self.one_chunk)
        while self.fault is None and not self._complete():
            lines = pipes.step(self._patience())
            for line in lines:
                self.fault = self.fault or self._take(line)
            if self.fault is None and pipes.overlong:
                self.fault = self._too_long()
            if self.fault is None and not lines:
                self.fault = self._check(self._now())
        self._finish()
        return self.fault

    def _now(self) -> float:
        """By the clock that stands still while the slot is paused."""
        return self.work.control.hold.now()

    @property
    def may_stay(self) -> bool:
        """Whether the container can take the job's next chunk."""
        wanted = self.work.assignment.reuse is Reuse.JOB and not self.one_chunk
        return wanted and not self.ended and self.session.pipes.idle

    def _chunk_line(self) -> bytes:
        assignment = self.work.assignment
        if not assignment.harness:
            return b""
        line = {
            "$fallow": "chunk",
            "job_id": assignment.job_id,
            "chunk_id": assignment.chunk_id,
            "start": assignment.item_start,
            "end": assignment.item_end,
            "count": self.work.staged.sent,
        }
        return json.dumps(line, separators=(",", ":")).encode() + b"\n"

    def _complete(self) -> bool:
        """Every item is answered, and the program has said its last word as far as it must."""
        if self.work.assignment.harness:
            return self.done
        if self.answered < self.work.staged.sent:
            return False
        if self.ended or self.session.pipes.out_ended:
            return True
        if not self.one_chunk:
            return self._now() - self.last >= self._grace()
        return self._now() - self.last > GOODBYE_SECONDS

    def _grace(self) -> float:
        """How long a warm program without harness is watched for a line too many after its last answer.

        A program that answered one item twice is one item behind: its surplus line comes when it has done the last
        item, so slow answers need a longer look.
        """
        grace = GRACE_SECONDS
        if self.work.staged.sent > 1:
            grace += min(3 * self.longest_gap, FIRST_GRACE_SECONDS)
        counted = self.work.assignment.job_id in self.work.shelf.memory.counted
        return grace if counted else max(grace, FIRST_GRACE_SECONDS)

    def _patience(self) -> float:
        """For one look at the pipes."""
        if self.answered < self.work.staged.sent or self.one_chunk or self.work.assignment.harness:
            return STEP_SECONDS
        left = self.last + self._grace() - self._now()
        # Selectors round up to a whole millisecond, which a chunk of a few milliseconds would feel.
        return max(0.0, min(STEP_SECONDS, int(left * 1000) / 1000))

    def _finish(self) -> None:
        """A line too many, and what is left of the log."""
        pipes = self.session.pipes
        if self.fault is None and not self.work.assignment.harness:
            for line in [*pipes.step(0), pipes.last_words() if pipes.out_ended else b""]:
                self.fault = self.fault or (self._take(line) if line else None)
        if self.fault is None:
            self.work.shelf.memory.counted.add(self.work.assignment.job_id)
        if self.fault is not None and self.fault.failure_class is FailureClass.SUBMITTER and not pipes.err_ended:
            self._wait_for_log()
        pipes.drain_log()

    def _wait_for_log(self) -> None:
        """A program that ended leaves its last words in the pipe; they are the reason a person looks for."""
        until = self._now() + 1.0
        while self.ended and not self.session.pipes.err_ended and self._now() < until:
            self.session.pipes.step(STEP_SECONDS)

    def _take(self, line: bytes) -> Fault | None:
        """One line of stdout."""
        if self.work.assignment.harness and line.startswith(CONTROL):
            return self._control(line)
        if self.answered >= self.work.staged.sent:
            self.work.shelf.memory.ends_at_eof.add(self.work.assignment.job_id)
            return _too_many()
        line = line.removesuffix(b"\r")
        try:
            parse_json(line)
        except ValueError:
            return submitters("not_json", "The program wrote a line that is not JSON.", self._item())
        self._time_of_answer()
        line = line.strip()
        if self.work.answers.size_bytes + len(line) >= self.work.assignment.limits.output_bytes:
            return output_too_large(self.work)
        self.work.answers.add(line, is_error_answer(line))
        self.answered += 1
        add_refused(self.work)
        self.work.control.items_done = self.work.answers.count
        return None

    def _control(self, line: bytes) -> Fault | None:
        try:
            said = json.loads(line)
        except ValueError:
            return submitters("not_json", "The program wrote a line that is not JSON.", self._item())
        if said.get("$fallow") == "ready":
            self.session.ready = True
            self.last = self._now()
        elif said.get("$fallow") == "done" and said.get("chunk_id") == self.work.assignment.chunk_id:
            self.done = True
            if self.answered < self.work.staged.sent:
                return _too_few(self._item())
        return None

    def _time_of_answer(self) -> None:
        now = self._now()
        if not self.session.answered:
            self.session.answered = True
            self.work.shelf.memory.start_seconds[self.work.assignment.job_id] = now - self.session.started
        elif self.answered:
            self.longest_gap = max(self.longest_gap, now - self.last)
        self.last = self.quiet_since = now

    def _check(self, now: float) -> Fault | None:
        """Whatever is not a line: stop, end, silence."""
        if self.work.control.stopped:
            return stopped_fault(self.work)
        if self.session.pipes.out_ended or self.session.running.poll():
            return self._at_end()
        if now - self.began > self.work.assignment.limits.chunk_timeout_seconds:
            said = seconds_said(self.work.assignment.limits.chunk_timeout_seconds)
            return of_limits("chunk_timeout", f"The chunk took longer than the chunk timeout of {said}.")
        self._end_input_when_quiet(now)
        return self._item_timeout(now) if self.answered < self.work.staged.sent else None

    def _item_timeout(self, now: float) -> Fault | None:
        limits, session = self.work.assignment.limits, self.session
        if self.work.assignment.harness and not session.ready:
            if now - session.started > limits.start_timeout_seconds:
                said = seconds_said(limits.start_timeout_seconds)
                return of_limits("start_timeout", f"The image was not ready within the start timeout of {said}.")
            return None
        if limits.item_timeout_seconds is None:
            return None
        extra = 0.0
        if not session.answered and not session.ready:
            seen = self.work.shelf.memory.start_seconds.get(self.work.assignment.job_id)
            extra = limits.start_timeout_seconds if seen is None else min(limits.start_timeout_seconds, 3 * seen + 1)
        if now - self.last <= limits.item_timeout_seconds + extra:
            return None
        said = seconds_said(limits.item_timeout_seconds)
        return of_limits("item_timeout", f"The item took longer than the item timeout of {said}.", self._item())

    def _end_input_when_quiet(self, now: float) -> None:
        """A program that buffers its answers gives them at the end of its input; a working one is left to work."""
        if self.one_chunk or self.work.assignment.harness or not self.session.pipes.input_done:
            self.quiet_since = now
            return
        if now - self.quiet_since < QUIET_SECONDS:
            return
        cpu = self.session.running.usage().cpu_seconds
        if cpu - self.quiet_cpu > QUIET_CPU_SECONDS:
            self.quiet_since, self.quiet_cpu = now, cpu
            return
        self.one_chunk = True
        self.work.shelf.memory.ends_at_eof.add(self.work.assignment.job_id)
        self.session.pipes.end_input()

    def _at_end(self) -> Fault | None:
        """The program is gone; its last lines may still be in the pipe."""
        pipes = self.session.pipes
        until = self._now() + 1.0
        while not pipes.out_ended and self._now() < until:
            for line in pipes.step(STEP_SECONDS):
                if fault := self._take(line):
                    return fault
        self.ended = True
        if pipes.out_ended and (rest := pipes.last_words()) and (fault := self._take(rest)):
            return fault
        if self._complete():
            return None
        outcome = self._outcome()
        if outcome is None:
            return _too_few(self._item())
        return ending_fault(self.work, outcome, self._item()) or _too_few(self._item())

    def _outcome(self) -> Outcome | None:
        """How it ended; None when it does not, though it has closed its output."""
        until = self._now() + GOODBYE_SECONDS
        while (outcome := self.session.running.wait(STEP_SECONDS)) is None and self._now() < until:
            if self.work.control.stopped:
                break
        return outcome

    def _too_long(self) -> Fault:
        said = bytes_said(self.work.assignment.limits.item_output_bytes)
        sentence = f"The answer is longer than the limit of {said} for one item."
        return of_limits("output_too_large", sentence, self._item())

    def _item(self) -> int:
        """The first item without an answer."""
        return self.work.assignment.item_start + self.work.answers.count


def output_too_large(work: Work) -> Fault:
    said = bytes_said(work.assignment.limits.output_bytes)
    return of_limits("output_too_large", f"The answers are longer than the limit of {said} for one chunk.")


def _start(work: Work) -> Session:
    """A fresh container. Raises EngineBroken."""
    assignment = work.assignment
    directory = work.shelf.run_dir()
    backstop = 4 * assignment.limits.chunk_timeout_seconds + assignment.limits.start_timeout_seconds + 600
    network = Network.OUTBOUND if assignment.outbound else Network.NONE
    environment = assignment.environment("-", "-")
    if assignment.harness:
        environment["FALLOW_HARNESS"] = "1"
    running = work.engine.start(work.container(directory, environment, (), network, backstop))
    pipes = Pipes(running, assignment.limits.item_output_bytes)
    return Session(session_key(assignment, work.engine), running, pipes, directory, backstop, work.control.hold.now)


def add_refused(work: Work) -> None:
    """The answers of items that were never sent, up to the next one that was."""
    while (line := work.staged.refused.get(work.answers.count)) is not None:
        work.answers.add(line, True)


def _too_few(item: int) -> Fault:
    return submitters("too_few_lines", "The program ended before it answered every item.", item)


def _too_many() -> Fault:
    sentence = "The program wrote more lines than it got items."
    return Fault(FailureClass.SUBMITTER, "too_many_lines", sentence, keeps_answers=False)


def _difference(after: Usage, before: Usage) -> Usage:
    return Usage(max(0.0, after.cpu_seconds - before.cpu_seconds), after.memory_bytes_max)
