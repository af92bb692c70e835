import secrets
from pathlib import Path

import pytest

from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.port import ArtifactStore
from fallow.artifacts.signing import Signer
from fallow.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signer() -> Signer:
    return Signer(secrets.token_bytes(32), "http://door.test")


@pytest.fixture
def files(tmp_path: Path, signer: Signer, clock: ManualClock) -> FilesystemStore:
    return FilesystemStore(tmp_path / "data", signer, clock.now, reserve_bytes=0)


@pytest.fixture
def store(files: FilesystemStore) -> ArtifactStore:
    return files
