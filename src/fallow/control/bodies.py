"""The bytes of answers, wherever they are: objects of their own, or packed in rows because they are small."""

from collections.abc import Iterator
from dataclasses import dataclass

from fallow.artifacts.port import ArtifactStore
from fallow.core.chunk import Artifact
from fallow.core.refusals import Code, Refusal
from fallow.store.port import Store

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
        if not artifact.key.startswith(_PACK):
            return self.artifacts.get(artifact.key, artifact.offset, None if whole else artifact.size_bytes)
        with self.store.reading() as tx:
            pack_id = int(artifact.key.removeprefix(_PACK))
            data = tx.read_pack(pack_id, artifact.offset, artifact.size_bytes)
        if data is None:
            raise Refusal(Code.NOT_FOUND, "The answer is gone with its job.")
        return iter((data,))
