"""Packs: small artifacts, kept in rows."""

from fallow.core.words import JobKey
from fallow.store.verbs.base import Verbs


class PackVerbs(Verbs):
    def add_pack(self, job_key: JobKey, data: bytes) -> int:
        row = self.session.one("add_pack", {"job_key": job_key, "data": data})
        assert row is not None
        return int(row[0])

    def read_pack(self, pack_id: int, offset: int, size_bytes: int) -> bytes | None:
        given = {"pack_id": pack_id, "place": offset + 1, "size_bytes": size_bytes}
        row = self.session.one("read_pack", given)
        return None if row is None else bytes(row[0])
