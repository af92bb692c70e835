"""The volunteer's signing key: 32 bytes in the client's own directory, so that they outlive tasks and resets."""

import os
import secrets
import tempfile
from pathlib import Path

from fallow.worker.volunteer import ed25519
from fallow.worker.volunteer.home import Home

KEY_FILE = "fallow-worker.key"
SEED_BYTES = 32


class Key:
    """One Ed25519 key."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public = ed25519.public_key(seed)

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 raw bytes."""
        return ed25519.sign(self._seed, message)


def load_key(home: Home) -> Key:
    """The key of this client; made where there is none. Raises OSError when it can be kept nowhere."""
    for directory in (home.client, home.project):
        seed = _read(directory / KEY_FILE)
        if seed is not None:
            return Key(seed)
    try:
        return Key(_made(home.client / KEY_FILE))
    except OSError:
        return Key(_made(home.project / KEY_FILE))


def _read(path: Path) -> bytes | None:
    """None where there is no whole key: a damaged one is replaced, and the server then sees a new worker's."""
    try:
        seed = path.read_bytes()
    except OSError:
        return None
    return seed if len(seed) == SEED_BYTES else None


def _made(path: Path) -> bytes:
    """Whole or not at all, readable by the owner only; of two programs that start at once the first wins."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600, nobody else's
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SEED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            if _read(path) is None:  # damaged: a file that was cut by a full disk
                os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    seed = _read(path)
    if seed is None:
        raise OSError(f"{path.name} cannot be kept")
    return seed
