import secrets
from pathlib import Path

import pytest

from fallow.artifacts.filesystem import FilesystemStore
from fallow.artifacts.port import ArtifactStore
from fallow.artifacts.s3 import S3Store, open_s3
from fallow.artifacts.signing import Signer
from fallow.clock import ManualClock
from tests.servers.radosgw import S3Server


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
def s3(s3_server: S3Server) -> S3Store:
    """A store of this test's own: below a new prefix."""
    return open_s3(s3_server.uri(secrets.token_hex(8)), s3_server.environment())


@pytest.fixture(params=["filesystem", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest) -> ArtifactStore:
    """Each object store there is, in turn."""
    chosen: ArtifactStore = request.getfixturevalue({"filesystem": "files", "s3": "s3"}[request.param])
    return chosen
