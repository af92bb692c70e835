"""What every verb of a transaction stands on."""

from collections.abc import Sequence

from fallow.core.job import JobSpec
from fallow.core.words import JobKey
from fallow.store.ledger import Ledger, Specs
from fallow.store.port import ChunkRef
from fallow.store.rows import spec_of
from fallow.store.session import Session


class Verbs:
    """plan_ahead: a job with so many chunks waiting needs no planner for now."""

    def __init__(self, session: Session, specs: Specs, plan_ahead: int) -> None:
        self.session = session
        self.ledger = Ledger(session, self.known_spec)
        self.specs = specs
        self.plan_ahead = plan_ahead
        self.born: dict[JobKey, JobSpec] = {}  # jobs that may yet be rolled back, so that their specs are not kept

    def finish(self) -> None:
        """Writes down what the transaction owes, before it commits."""
        self.ledger.flush()

    def known_spec(self, job_key: JobKey) -> JobSpec | None:
        """What is known of it without a look at the rows: nearly everything that is touched at all."""
        return self.born.get(job_key) or self.specs.get(job_key)

    def spec(self, job_key: JobKey) -> JobSpec:
        """What a job asked for. KeyError when there is no such job."""
        kept = self.specs.get(job_key)
        if kept is not None:
            return kept
        row = self.session.one("job_spec", {"job_key": job_key})
        if row is None:
            raise KeyError(job_key)
        spec = spec_of(row[0])
        if job_key not in self.born:
            self.specs.keep(job_key, spec)
        return spec


def set_of(refs: Sequence[ChunkRef]) -> dict[str, object]:
    """Chunk references as a statement's parameters; each dialect uses its own."""
    return {
        "job_keys": [ref.job_key for ref in refs],
        "chunk_ids": [ref.chunk_id for ref in refs],
        "refs": [[ref.job_key, ref.chunk_id] for ref in refs],
    }
