"""How often in a row the task had to be put off, over all its starts."""

from pathlib import Path


class Tries:
    """A number in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def count(self) -> int:
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0

    def another(self) -> int:
        """How many there were before this one."""
        count = self.count
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(str(count + 1))
        return count

    def forget(self) -> None:
        """Something worked."""
        self._path.unlink(missing_ok=True)
