"""Forgets what is over: rows of tasks after a while, and answer files that no task waits for."""

from collections.abc import Iterator
from typing import Final

from fallow.artifacts.port import ArtifactStore
from fallow.control.places import Places
from fallow.core.words import Micros
from fallow.store.port import Store

_KEPT_SECONDS: Final = 7 * 86_400.0  # a client may report so late, and is told that it did before
_STEP: Final = 500


class Sweeper:
    """Two roles of the janitor."""

    def __init__(self, store: Store, places: Places) -> None:
        self._store = store
        self._artifacts: ArtifactStore = places.artifacts
        self._clock = places.clock

    def forget_tasks(self) -> bool:
        """True when there were some."""
        before = Micros(self._clock.now() - int(_KEPT_SECONDS * 1e6))
        with self._store.transaction() as tx:
            return tx.forget_results(before, _STEP) > 0

    def forget_files(self) -> bool:
        """Walks over all answer files. True when there were some of tasks that are over."""
        idle = [key for key in self._keys() if not self._is_wanted(key)]
        for start in range(0, len(idle), _STEP):
            self._artifacts.delete(idle[start : start + _STEP])
        with self._store.transaction() as tx:
            swept = tx.sweep_uploads(_STEP)
        return bool(idle) or swept > 0

    def _keys(self) -> Iterator[str]:
        for prefix in ("boinc/upload", "boinc/parts"):
            for head in self._artifacts.list(prefix):
                yield head.key

    def _is_wanted(self, key: str) -> bool:
        """Whether a client may still report the file's task. key: .../DIRECTORY/answer_NUMBER_TOKEN[/OFFSET]."""
        number = key.split("/")[3].split("_")[1]
        with self._store.reading() as tx:
            result = tx.boinc_result(int(number))
        return result is not None and not result.is_over
