"""The OpenAI door's rows: models, files, batches, uploads and their parts."""

import json
from dataclasses import asdict, replace

from fallow.core.lifecycle import IllegalMove, UploadEvent, upload_after
from fallow.core.words import JobKey, Micros, UploadState
from fallow.store.port.openai import BatchRow, FileRow, ModelRow, UploadPartRow, UploadRow
from fallow.store.rows import storable
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs

NEWEST = 2**62  # above every key that a database gives


class OpenaiVerbs(Verbs):
    # models
    def save_model(self, model: ModelRow) -> None:
        self.session.run("save_model", {**asdict(model), "endpoints": json.dumps(model.endpoints)})

    def model(self, name: str) -> ModelRow | None:
        row = self.session.one("model", {"name": name})
        return None if row is None else _model_of(row)

    def models(self) -> list[ModelRow]:
        return [_model_of(row) for row in self.session.all("models", {})]

    def disable_model(self, name: str, now: Micros) -> bool:
        return self.session.run("disable_model", {"name": name, "now": now}) > 0

    # files
    def add_file(self, file: FileRow) -> FileRow:
        self.session.run("add_file", {**asdict(file), "filename": storable(file.filename)})
        found = self.file(file.file_id)
        assert found is not None
        return found

    def file(self, file_id: str) -> FileRow | None:
        row = self.session.one("file", {"file_id": file_id})
        return None if row is None else FileRow(*row)

    def files(
        self, account_id: str, *, after: int | None, newest_first: bool, limit: int, purpose: str, now: Micros
    ) -> list[FileRow]:
        start = after if after is not None else NEWEST if newest_first else 0
        params = {"account_id": account_id, "after": start, "limit": limit, "purpose": purpose, "now": now}
        return [FileRow(*row) for row in self.session.all("files_down" if newest_first else "files_up", params)]

    def delete_file(self, file_id: str, now: Micros) -> bool:
        return self.session.run("delete_file", {"file_id": file_id, "now": now}) > 0

    def expire_files(self, now: Micros, limit: int) -> int:
        return self.session.run("expire_files", {"now": now, "limit": limit})

    def unread_files(self, limit: int) -> list[FileRow]:
        return [FileRow(*row) for row in self.session.all("unread_files", {"limit": limit})]

    def remove_file(self, file_id: str) -> None:
        self.session.run("remove_file", {"file_id": file_id})

    # batches
    def add_batch(self, batch: BatchRow) -> None:
        self.session.run("add_batch", asdict(batch))

    def batch(self, job_key: JobKey) -> BatchRow | None:
        return _batch_of(self.session.one("batch", {"job_key": job_key}))

    def batches(self, account_id: str, *, before: JobKey | None, limit: int) -> list[BatchRow]:
        params = {"account_id": account_id, "before": NEWEST if before is None else before, "limit": limit}
        return [BatchRow(*row) for row in self.session.all("batches", params)]

    def hold_batches(self, account_id: str) -> None:
        self.session.run("hold_batches", {"account_id": account_id})

    def repeated_batch(self, account_id: str, request_sha256: str, since: Micros) -> BatchRow | None:
        params = {"account_id": account_id, "request_sha256": request_sha256, "since": since}
        return _batch_of(self.session.one("repeated_batch", params))

    def open_batches(self, account_id: str, limit: int) -> int:
        return len(self.session.all("open_batches", {"account_id": account_id, "limit": limit}))

    def set_batch_errors(self, job_key: JobKey, errors: str) -> None:
        self.session.run("set_batch_errors", {"job_key": job_key, "errors": errors})

    def batch_in_progress(self, job_key: JobKey, now: Micros) -> None:
        self.session.run("batch_in_progress", {"job_key": job_key, "now": now})

    def batch_finalizing(self, job_key: JobKey, now: Micros) -> None:
        self.session.run("batch_finalizing", {"job_key": job_key, "now": now})

    def batch_cancelling(self, job_key: JobKey, now: Micros) -> None:
        self.session.run("batch_cancelling", {"job_key": job_key, "now": now})

    def claim_batch(self, owner: str, now: Micros, until: Micros) -> BatchRow | None:
        return _batch_of(self.session.one("claim_batch", {"owner": owner, "now": now, "until": until}))

    def renew_batch(self, job_key: JobKey, owner: str, until: Micros) -> bool:
        return self.session.run("renew_batch", {"job_key": job_key, "owner": owner, "until": until}) > 0

    def publish_batch(
        self,
        job_key: JobKey,
        owner: str,
        *,
        output_file_id: str | None,
        error_file_id: str | None,
        usage: str,
        now: Micros,
    ) -> bool:
        params = {
            "job_key": job_key,
            "owner": owner,
            "output_file_id": output_file_id,
            "error_file_id": error_file_id,
            "usage": usage,
            "now": now,
        }
        return self.session.run("publish_batch", params) > 0

    def reopen_batch(self, job_key: JobKey) -> None:
        self.session.run("reopen_batch", {"job_key": job_key})

    # uploads
    def add_upload(self, upload: UploadRow) -> None:
        self.session.run(
            "add_upload", {**asdict(upload), "state": upload.state.value, "filename": storable(upload.filename)}
        )

    def upload(self, upload_id: str) -> UploadRow | None:
        row = self.session.one("upload", {"upload_id": upload_id})
        return None if row is None else _upload_of(row)

    def move_upload(self, upload_id: str, event: UploadEvent, file_id: str | None = None) -> UploadState:
        found = self.upload(upload_id)
        after = upload_after(found.state if found else None, event)
        params = {"upload_id": upload_id, "state": after.value, "file_id": file_id}
        if found is None or not self.session.run("move_upload", {**params, "before": found.state.value}):
            raise IllegalMove(f"the upload {upload_id} could not {event}: somebody else moved it")
        return after

    def late_uploads(self, now: Micros, limit: int) -> list[UploadRow]:
        return [_upload_of(row) for row in self.session.all("late_uploads", {"now": now, "limit": limit})]

    def add_upload_part(self, part: UploadPartRow) -> bool:
        if not self.session.run("hold_upload", {"upload_id": part.upload_id}):
            return False
        self.session.run("add_upload_part", asdict(part))
        return True

    def upload_parts(self, upload_id: str) -> list[UploadPartRow]:
        return [UploadPartRow(*row) for row in self.session.all("upload_parts", {"upload_id": upload_id})]

    def remove_upload_parts(self, upload_id: str) -> None:
        self.session.run("remove_upload_parts", {"upload_id": upload_id})


def _model_of(row: Row) -> ModelRow:
    found = ModelRow(*row)
    return replace(found, endpoints=tuple(json.loads(row[3])))


def _batch_of(row: Row | None) -> BatchRow | None:
    return None if row is None else BatchRow(*row)


def _upload_of(row: Row) -> UploadRow:
    return replace(UploadRow(*row), state=UploadState(row[2]))
