"""Makes the receipt of an attempt and has it signed. The key stays with the caller."""

from dataclasses import dataclass
from datetime import UTC, datetime

from fallow.core.receipt import Receipt, Sign, seal
from fallow.worker.answers import Answers
from fallow.worker.assignment import Assignment
from fallow.worker.engines.engine import Usage


@dataclass(frozen=True, slots=True)
class Signer:
    """worker_id: also the key's name in the envelope."""

    worker_id: str
    sign: Sign

    def receipt(
        self,
        assignment: Assignment,
        answers: Answers,
        input_sha256: str,
        artifact_uri: str,
        started: datetime,
        finished: datetime,
        usage: Usage,
    ) -> bytes:
        """The sealed receipt over the answers there are, which may be the head of the chunk only."""
        return seal(
            Receipt(
                job_id=assignment.job_id,
                chunk_id=assignment.chunk_id,
                attempt_id=assignment.attempt_id,
                worker_id=self.worker_id,
                image=assignment.ran,
                contract=assignment.contract,
                item_start=assignment.item_start,
                item_end=assignment.item_start + answers.count - 1,
                item_errors=answers.errors,
                input_sha256=input_sha256,
                artifact_uri=artifact_uri,
                artifact_sha256=answers.sha256,
                artifact_size_bytes=answers.size_bytes,
                items_root=answers.items_root,
                started_at=_rfc3339(started),
                finished_at=_rfc3339(finished),
                cpu_seconds=usage.cpu_seconds,
                memory_bytes_max=usage.memory_bytes_max,
            ),
            self.worker_id,
            self.sign,
        )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
