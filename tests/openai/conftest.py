"""A real server and a real worker for the openai package, whose generations lie in .cache/openai."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".cache" / "openai"
VERSIONS = tuple(
    sorted(
        (path.stem.removeprefix("openai-") for path in (ROOT / "requirements").glob("openai-*.txt")),
        key=lambda version: [int(each) for each in version.split(".")],
    )
)
ENDPOINT = "/v1/x/echo"
BATCHES_OPEN_MAX = 8


@pytest.fixture(scope="session")
def openai_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """With one worker, and two models: `echo` on stdin, and `served` by the contract http."""
    home = tmp_path_factory.mktemp("openai")
    house = House(home, "--allow-process", FALLOW_BATCHES_OPEN_MAX=str(BATCHES_OPEN_MAX), FALLOW_ROLE_SECONDS="0.1")
    house.start_server()
    house.worker("worker", "--engine", "process", "--allow-process", "--slots", "8")
    model = [sys.executable, "-S", str(Path(__file__).parent / "model.py")]
    served = {"command": [*model, "serve"], "contract": "http"}
    add_model(house, "echo", ENDPOINT, {"command": model})
    add_model(house, "served", "/v1/chat/completions", served)
    yield house
    house.stop()


def add_model(house: House, name: str, endpoint: str, job: dict[str, Any]) -> None:
    answer = house.call("POST", "/api/models", {"name": name, "endpoints": [endpoint], "job": job})
    assert answer.status_code == 201, answer.text


def key_of(house: House, account: str) -> str:
    """A new account's key."""
    body = {"name": "k", "scopes": ["submit"], "account_id": account}
    answer = house.call("POST", "/api/keys", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def drive(version: str, *words: object, seconds: float = 200) -> subprocess.CompletedProcess[str]:
    """The driver, with this generation of the package and nothing else of this environment's."""
    home = PACKAGES / version
    assert (home / ".made-from").exists(), f"openai {version} is not here: run scripts/openai-clients.sh"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-S", "-m", "tests.openai.driver", *map(str, words)],
        cwd=ROOT,
        env={**kept, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
