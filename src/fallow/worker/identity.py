"""Who this worker is: an Ed25519 key, made at the first start and kept in the data directory."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.core.refusals import Code, Refusal

KEY_FILE = "worker.key"


@dataclass(frozen=True, slots=True)
class Identity:
    """worker_id: "w-" and the first 16 hexadecimal digits of the public key's SHA-256."""

    private_key: Ed25519PrivateKey
    public_key: bytes
    worker_id: str

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 raw bytes."""
        return self.private_key.sign(message)


def load_identity(data_dir: Path) -> Identity:
    """The key in this directory; made when there is none. Raises Refusal when it cannot be read or written."""
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, Ed25519PrivateKey.generate().private_bytes_raw())
        key = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    except OSError as wrong:
        raise Refusal(
            Code.SETTING_INVALID,
            f"The worker's key {path} cannot be read or made: {wrong.strerror}.",
            "Give the worker a data directory that it may write.",
        ) from None
    except ValueError:
        raise Refusal(
            Code.SETTING_INVALID,
            f"The worker's key {path} is damaged.",
            "Restore it, or remove it: the worker then joins as a new one.",
        ) from None
    public = key.public_key().public_bytes_raw()
    return Identity(key, public, "w-" + hashlib.sha256(public).hexdigest()[:16])


def _write_once(path: Path, raw: bytes) -> None:
    """Whole or not at all, readable by the owner only; whoever links first wins."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another agent on the same directory was faster; its key is as good
    finally:
        temporary.unlink()
