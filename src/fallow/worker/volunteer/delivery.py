"""Brings what is finished to the server: large artifacts and logs by signed URL, the rest inside the answer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fallow.core.words import FailureClass
from fallow.worker.assignment import Assignment
from fallow.worker.transfer import TransferFailed, Wait, send
from fallow.worker.volunteer.answer import Head, inlined, spelt
from fallow.worker.volunteer.endings import Left
from fallow.worker.volunteer.kept import Kept, Shelved
from fallow.worker.volunteer.server import TRANSFER_TRIES_MAX, Server, Unreachable
from fallow.worker.volunteer.ticket import Ticket

LINES, TEXT = "application/jsonl", "text/plain; charset=utf-8"


class Delivery:
    """Of one task. Every delivery is noted at once: a restart does not repeat it."""

    def __init__(self, ticket: Ticket, server: Server, shelved: Shelved, wait: Wait) -> None:
        self._ticket = ticket
        self._server = server
        self._shelved = shelved
        self._wait = wait

    def answer(self, head: Head, kept: Mapping[int, Kept]) -> bytes:
        """The bytes of answer.json, once all that it does not hold is delivered. Raises Unreachable, Left."""
        answers = [self._with_log(each) for each in kept.values()]
        inside = inlined(head, answers, self._ticket.inline_bytes_max, self._ticket.answer_bytes_max)
        answers = [each if each.attempt_id in inside else self._with_artifact(each) for each in answers]
        return spelt(head, answers, inside)

    def _with_log(self, kept: Kept) -> Kept:
        """The answers count without the log, so it is tried once."""
        lease = self._lease(kept.attempt_id) if kept.log else None
        if kept.log is None or lease is None or not lease.log_url:
            return kept
        size = kept.log.stat().st_size
        try:
            send(lease.log_url, kept.log, TEXT, self._wait, TRANSFER_TRIES_MAX)
        except TransferFailed:
            self._go_on()
            return kept
        return self._shelved.update(replace(kept, log_size_bytes=size))

    def _with_artifact(self, kept: Kept) -> Kept:
        """Delivered; or without an artifact and with the reason why the server cannot have it."""
        for fresh in (False, True):
            artifact, lease = kept.artifact, self._lease(kept.attempt_id, fresh)
            if artifact is None:
                return kept
            if lease is None:
                return _undelivered(kept, FailureClass.ABORTED, "stopped", "The attempt is not wanted any more.")
            try:
                send(lease.upload_url, artifact, LINES, self._wait, TRANSFER_TRIES_MAX)
            except TransferFailed as failed:
                self._go_on()
                if failed.status == 413:
                    said = "The server does not take an artifact of this size."
                    return _undelivered(kept, FailureClass.OURS, "upload_refused", said)
                if not 400 <= failed.status < 500:
                    raise Unreachable(f"an artifact cannot be delivered now: {failed}") from None
            else:
                return self._shelved.update(replace(kept, delivered=True))
        said = "The signed URL for the artifact is not valid any more."
        return _undelivered(kept, FailureClass.OURS, "url_expired", said)

    def _lease(self, attempt_id: int, fresh: bool = False) -> Assignment | None:
        return next((each for each in self._server.leases(fresh) if each.attempt_id == attempt_id), None)

    def _go_on(self) -> None:
        if self._wait(0):
            raise Left


def _undelivered(kept: Kept, failure_class: FailureClass, code: str, message: str) -> Kept:
    """As if nothing had been answered; the files stay, should the server want them after all."""
    failure: dict[str, Any] = {"failure_class": failure_class.value, "code": code, "message": message}
    return replace(kept, envelope=b"", failure=failure, delivered=True)
