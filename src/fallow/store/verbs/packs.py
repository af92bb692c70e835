"""Packs: small artifacts, kept in rows."""

from collections.abc import Sequence

from fallow.core.words import JobKey
from fallow.store.port import Packed
from fallow.store.verbs.base import Verbs


class PackVerbs(Verbs):
    def add_pack(self, job_key: JobKey, data: bytes) -> int:
        row = self.session.one("add_pack", {"job_key": job_key, "data": data})
        assert row is not None
        return int(row[0])

    def read_packed(self, wanted: Sequence[Packed]) -> list[bytes | None]:
        if not wanted:
            return []
        given = {
            "wanted": [[each.pack_id, each.offset + 1, each.size_bytes] for each in wanted],
            "pack_ids": [each.pack_id for each in wanted],
            "places": [each.offset + 1 for each in wanted],
            "sizes": [each.size_bytes for each in wanted],
        }
        found: list[bytes | None] = [None] * len(wanted)
        for place, data in self.session.all("read_packed", given):
            found[place] = bytes(data)
        return found
