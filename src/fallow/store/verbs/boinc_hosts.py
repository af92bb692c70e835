"""The BOINC door's machines: hosts, what each was sent, and to which class of machines a chunk is kept."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from fallow.core.volunteer_ids import host_of
from fallow.core.words import AttemptId, AttemptState, ChunkId, JobKey, Micros, WorkerId
from fallow.store.port import BoincResultRow, Earned, HostRow, TaskChunk
from fallow.store.rows import leased_of, storable
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs

HOST_WIDTH = 20  # columns
END_RESULT = ("over_at", "exit_status", "client_state", "elapsed_seconds", "result_id")
CHUNK_CLASS = ("job_key", "chunk_id", "class")


class BoincHostVerbs(Verbs):
    # hosts
    def add_host(self, row: HostRow) -> HostRow:
        made = self.session.one("add_host", {**_said(row), "account_id": row.account_id, "created_at": row.created_at})
        assert made is not None
        found = self.host(made[0])
        assert found is not None
        return found

    def host(self, host_id: int) -> HostRow | None:
        row = self.session.one("host", {"host_id": host_id})
        return None if row is None else host_row_of(row)

    def held_host(self, host_id: int) -> HostRow | None:
        row = self.session.one("held_host", {"host_id": host_id})
        return None if row is None else host_row_of(row)

    def hosts_by_id(self, host_ids: Sequence[int]) -> list[HostRow]:
        if not host_ids:
            return []
        return [host_row_of(row) for row in self.session.all("hosts_by_id", {"ids": sorted(set(host_ids))})]

    def host_of_worker(self, worker_id: WorkerId) -> HostRow | None:
        host_id = host_of(worker_id)
        return None if host_id is None else self.host(host_id)

    def hosts_like(self, account_id: str, cpid: str) -> list[HostRow]:
        params = {"account_id": account_id, "cpid": storable(cpid)}
        return [host_row_of(row) for row in self.session.all("hosts_like", params)]

    def hosts_of(self, account_id: str, limit: int) -> list[HostRow]:
        params = {"account_id": account_id, "limit": limit}
        return [host_row_of(row) for row in self.session.all("hosts_of", params)]

    def save_host(self, row: HostRow) -> None:
        params = {"host_id": row.host_id, "worker_id": row.worker_id, "generation": row.generation}
        self.session.run("save_host", {**_said(row), **params})

    def set_host_label(self, host_id: int, label: str | None, now: Micros) -> None:
        self.session.run("set_host_label", {"host_id": host_id, "label": label, "now": now})

    def touch_host(self, host_id: int, rpc_seqno: int, now: Micros) -> None:
        self.session.run("touch_host", {"host_id": host_id, "rpc_seqno": rpc_seqno, "now": now})

    # results
    def add_result(
        self,
        host_id: int,
        worker_id: WorkerId,
        job_key: JobKey,
        attempts: Sequence[AttemptId],
        now: Micros,
        deadline: Micros,
        seconds_estimated: float,
    ) -> int:
        row = BoincResultRow(0, host_id, worker_id, job_key, tuple(attempts), now, deadline, seconds_estimated)
        return self.add_results([row])[0].result_id

    def add_results(self, rows: Sequence[BoincResultRow]) -> list[BoincResultRow]:
        if not rows:
            return []
        said = [
            {
                "host_id": row.host_id,
                "worker_id": row.worker_id,
                "job_key": row.job_key,
                "attempts": " ".join(map(str, row.attempts)),
                "sent_at": row.sent_at,
                "deadline": row.deadline,
                "seconds_estimated": float(row.seconds_estimated),
            }
            for row in rows
        ]
        given = self.session.all("add_results", {"rows": msgspec.json.encode(said).decode()})
        # Numbers go up with the rows; in which order a database names them is its own affair.
        return [replace(row, result_id=number) for row, (number,) in zip(rows, sorted(given), strict=True)]

    def boinc_result(self, result_id: int) -> BoincResultRow | None:
        row = self.session.one("boinc_result", {"result_id": result_id})
        return None if row is None else _result_of(row)

    def boinc_results(self, result_ids: Sequence[int]) -> dict[int, BoincResultRow]:
        rows = self.session.all("boinc_results", {"ids": list(result_ids)}) if result_ids else []
        return {row[0]: _result_of(row) for row in rows}

    def results_sent(self, host_id: int) -> list[BoincResultRow]:
        return [_result_of(row) for row in self.session.all("results_sent", {"host_id": host_id})]

    def end_results(self, rows: Sequence[BoincResultRow]) -> None:
        if not rows:
            return
        ends = [(row.over_at, row.exit_status, row.client_state, row.elapsed_seconds, row.result_id) for row in rows]
        self.session.many("end_results", END_RESULT, ends)

    def move_deadline(self, result_id: int, deadline: Micros) -> None:
        self.session.run("move_deadline", {"result_id": result_id, "deadline": deadline})

    def task_chunks(self, attempts: Sequence[AttemptId]) -> list[TaskChunk]:
        rows = self.session.all("task_chunks", {"ids": list(attempts)}) if attempts else []
        return [TaskChunk(leased_of(row), AttemptState(row[8]), row[9]) for row in rows]

    # what clients uploaded
    def keep_upload(self, result_id: int, data: bytes) -> bool:
        return self.session.run("keep_upload", {"result_id": result_id, "data": data}) > 0

    def answer_upload(self, result_id: int) -> bytes | None:
        row = self.session.one("answer_upload", {"result_id": result_id})
        return None if row is None else bytes(row[0])

    def answer_uploads(self, result_ids: Sequence[int]) -> dict[int, bytes]:
        rows = self.session.all("answer_uploads", {"ids": list(result_ids)}) if result_ids else []
        return {row[0]: bytes(row[1]) for row in rows}

    def forget_uploads(self, result_ids: Sequence[int]) -> None:
        if result_ids:
            self.session.run("forget_uploads", {"ids": list(result_ids)})

    def sweep_uploads(self, limit: int) -> int:
        return self.session.run("sweep_uploads", {"limit": limit})

    def forget_results(self, before: Micros, limit: int) -> int:
        return self.session.run("forget_results", {"before": before, "limit": limit})

    # classes of machines
    def chunk_classes(self, job_key: JobKey, chunk_ids: Sequence[ChunkId]) -> dict[ChunkId, str]:
        if not chunk_ids:
            return {}
        return dict(self.session.all("chunk_classes", {"job_key": job_key, "ids": list(chunk_ids)}))

    def set_chunk_class(self, job_key: JobKey, chunk_ids: Sequence[ChunkId], name: str) -> None:
        if not chunk_ids:
            return
        if name:
            rows = [(job_key, chunk_id, storable(name)) for chunk_id in sorted(set(chunk_ids))]
            self.session.many("set_chunk_classes", CHUNK_CLASS, rows)
        else:
            self.session.run("drop_chunk_classes", {"job_key": job_key, "ids": list(chunk_ids)})


def _said(row: HostRow) -> dict[str, object]:
    """The columns that a host's calls and an operator change."""
    return {
        "cpid": storable(row.cpid),
        "likeness": storable(row.likeness),
        "rpc_seqno": row.rpc_seqno,
        "rpc_at": row.rpc_at,
        "merged_into": row.merged_into,
        "facts": storable(row.facts),
        "venue": storable(row.venue),
        "label_said": None if row.label_said is None else storable(row.label_said),
        "label_set": None if row.label_set is None else storable(row.label_set),
        "label_at": row.label_at,
        "no_engine_count": row.no_engine_count,
        "no_engine_until": row.no_engine_until,
    }


def host_row_of(row: Row) -> HostRow:
    values: Row = (*row[:17], Earned(*row[17:HOST_WIDTH]))
    return HostRow(*values)


def _result_of(row: Row) -> BoincResultRow:
    attempts = tuple(AttemptId(int(word)) for word in row[4].split())
    values: Row = (*row[:4], attempts, *row[5:])
    return BoincResultRow(*values)
