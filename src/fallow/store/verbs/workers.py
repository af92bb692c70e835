"""Workers: who they are and how they fare."""

from fallow.core.words import Micros, WorkerId
from fallow.store.port import ALWAYS, WorkerRow
from fallow.store.rows import storable, worker_of
from fallow.store.verbs.base import Verbs


class WorkerVerbs(Verbs):
    def save_worker(self, worker: WorkerRow) -> None:
        self.session.run(
            "save_worker",
            {
                "worker_id": worker.worker_id,
                "account_id": worker.account_id,
                "name": storable(worker.name),
                "label": worker.label,
                "public_key": worker.public_key,
                "capability": storable(worker.capability),
                "session": storable(worker.session),
                "joined_at": worker.joined_at,
                "seen_at": worker.seen_at,
                "failures": worker.failures,
                "backoff_until": worker.backoff_until,
                "leaving": int(worker.leaving),
            },
        )

    def worker(self, worker_id: WorkerId) -> WorkerRow | None:
        row = self.session.one("worker", {"worker_id": worker_id})
        return None if row is None else worker_of(row)

    def workers(self, seen_after: Micros = ALWAYS) -> list[WorkerRow]:
        return [worker_of(row) for row in self.session.all("workers", {"seen_after": seen_after})]

    def worker_seen(self, worker_id: WorkerId, now: Micros, leaving: bool) -> None:
        self.session.run("worker_seen", {"worker_id": worker_id, "now": now, "leaving": int(leaving)})

    def set_worker_backoff(self, worker_id: WorkerId, failures: int, until: Micros) -> None:
        self.session.run("set_worker_backoff", {"worker_id": worker_id, "failures": failures, "until": until})
