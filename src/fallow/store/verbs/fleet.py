"""What workers did: records, histories, timelines."""

from fallow.core.job import Image
from fallow.core.words import AttemptId, AttemptState, FailureClass, JobKey, Micros, WorkerId
from fallow.store.port import WorkerAttempt, WorkerBucket, WorkerRecord
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs

NEWEST = 2**62  # above every attempt number


class FleetVerbs(Verbs):
    def worker_record(self, worker_id: WorkerId, limit: int) -> WorkerRecord:
        row = self.session.one("worker_record", {"worker_id": worker_id, "limit": limit})
        assert row is not None
        return WorkerRecord(*row)

    def worker_attempts(self, worker_id: WorkerId, before: AttemptId | None, limit: int) -> list[WorkerAttempt]:
        params = {"worker_id": worker_id, "before": NEWEST if before is None else before, "limit": limit}
        return [_attempt_of(row) for row in self.session.all("worker_attempts", params)]

    def worker_leases(self, worker_id: WorkerId, limit: int) -> list[WorkerAttempt]:
        rows = self.session.all("worker_leases", {"worker_id": worker_id, "limit": limit})
        return [_attempt_of(row) for row in rows]

    def worker_buckets(self, worker_id: WorkerId, since: Micros, span: int, limit: int) -> list[WorkerBucket]:
        params = {"worker_id": worker_id, "since": since, "span": span, "limit": limit}
        rows = self.session.all("worker_buckets", params)
        return [WorkerBucket(Micros(bucket * span), items, chunks, failed) for bucket, items, chunks, failed in rows]

    def worker_images(self, worker_id: WorkerId, limit: int) -> list[Image]:
        rows = self.session.all("worker_job_keys", {"worker_id": worker_id, "limit": limit})
        found: dict[str, Image] = {}
        for job_key, _ in rows:
            image = self._image(JobKey(job_key))
            if image is not None:
                found.setdefault(image.digest, image)
        return list(found.values())

    def _image(self, job_key: JobKey) -> Image | None:
        try:
            return self.spec(job_key).image
        except KeyError:  # an attempt that is being erased may outlive its job's words for a moment
            return None

    def hold_worker(self, worker_id: WorkerId, at: Micros) -> bool:
        return self.session.run("hold_worker", {"worker_id": worker_id, "at": at}) > 0


def _attempt_of(row: Row) -> WorkerAttempt:
    return WorkerAttempt(
        attempt_id=row[0],
        job_key=row[1],
        job_id=row[2],
        account_id=row[3],
        chunk_id=row[4],
        state=AttemptState(row[5]),
        leased_at=row[6],
        over_at=row[7],
        deadline=row[8],
        items=row[9],
        item_errors=row[10],
        failure_class=FailureClass(row[11]) if row[11] else None,
        code=row[12],
        message=row[13],
    )
