"""The bytes of answers, wherever they are: objects of their own, or packed in rows because they are small."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fallow.artifacts.port import ArtifactStore
from fallow.core.chunk import Artifact
from fallow.core.refusals import Code, Refusal
from fallow.store.port import Packed, ResultRow, Store

_PACK = "pack:"


def pack_key(pack_id: int) -> str:
    """How an artifact names the pack that it is in."""
    return f"{_PACK}{pack_id}"


@dataclass(frozen=True, slots=True)
class Bodies:
    """Reads answers."""

    store: Store
    artifacts: ArtifactStore

    def read(self, artifact: Artifact, *, whole: bool = False) -> Iterator[bytes]:
        """The artifact's bytes. whole: all that its object holds, surplus bytes too. Raises Refusal NOT_FOUND."""
        packed = _packed(artifact)
        if packed is None:
            return self.artifacts.get(artifact.key, artifact.offset, None if whole else artifact.size_bytes)
        with self.store.reading() as tx:
            data = tx.read_packed([packed])[0]
        if data is None:
            raise Refusal(Code.NOT_FOUND, "The answer is gone with its job.")
        return iter((data,))

    def along(self, rows: Sequence[ResultRow]) -> Iterator[tuple[ResultRow, Iterator[bytes] | None]]:
        """Each row with its answer, None where it has none. What is packed is read for all rows at once, so that a page
        should hold no more of it than memory does: a page of 500 is at most 16 MiB."""
        wanted = {
            row.chunk_id: packed
            for row in rows
            if row.artifact is not None and (packed := _packed(row.artifact)) is not None
        }
        with self.store.reading() as tx:
            read = dict(zip(wanted, tx.read_packed(list(wanted.values())), strict=True))
        for row in rows:
            data = read.get(row.chunk_id)
            if data is not None:
                yield row, iter((data,))
            else:
                yield row, self.read(row.artifact) if row.artifact is not None else None


def _packed(artifact: Artifact) -> Packed | None:
    if not artifact.key.startswith(_PACK):
        return None
    return Packed(int(artifact.key.removeprefix(_PACK)), artifact.offset, artifact.size_bytes)
