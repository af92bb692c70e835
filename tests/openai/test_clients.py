"""The acceptance list with the real openai package, oldest and newest: one point a test."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House
from tests.openai import driver
from tests.openai.conftest import VERSIONS, drive, key_of

POINTS = [each.__name__ for each in driver.POINTS]
SHAPE = ["custom_id", "error", "id", "response"]
EXPECTED: dict[str, Any] = {
    "before": {"status": "validating", "lasts": 12},
    "models": {"listed": ["echo", "served"], "one": "echo", "object": "model", "missing": 404},
    "files_come_in_every_shape": {
        "names": ["upload", "named.jsonl", "named.jsonl", "tuple.jsonl", "typed.jsonl"],
        "bytes": True,
        "status": "processed",
        "same": True,
        "again": "named.jsonl",
    },
    "files_expire_when_they_are_told_to": {"lasts": 7200},
    "five_megabytes": {"bytes": 5 << 20, "length": str(5 << 20), "same": True},
    "files_come_in_parts": {
        "first": "pending",
        "wrong md5": 400,
        "then": "completed",
        "same": True,
        "repeated": True,
        "cancelled": "cancelled",
    },
    "the_package_cuts_files_itself": {"status": "completed", "same": True},
    "the_whole_way": {
        "first": "validating",
        "words": True,
        "over": "completed",
        "counts": [8, 7, 1],
        "metadata": {"who": "driver"},
        "moments": True,
        "answers": [f"WORD {n}" for n in range(7)],
        "codes": [200],
        "shape": SHAPE,
        "ids": True,
        "bad": ["r-7", 400, None],
        "bad body": ["code", "message", "param", "type"],
        "purpose": "batch_output",
        "usage": 35,
    },
    "through_a_server_of_the_http_contract": {
        "over": "completed",
        "answers": ["W0", "W1", "W3"],
        "request ids": True,
        "bad": ["r-2", 400, None],
        "usage": 9,
    },
    "everything_fails": {"over": "completed", "output": None, "errors": 3, "failed": 3},
    "a_bad_file_fails_the_batch": {
        "over": "failed",
        "faults": [[2, "duplicate_custom_id"], [3, "mismatched_url"]],
        "files": [None, None],
        "failed_at": True,
    },
    "cancelled_while_it_runs": {
        "first": True,
        "over": "cancelled",
        "second": "cancelled",
        "output": ["r-0"],
        "errors": ["batch_cancelled"],
        "all": 7,
        "moments": True,
    },
    "cancelled_at_once": {"over": "cancelled"},
    "cancelled_when_it_is_over": {"refused": "false", "asked": 1},
    "the_input_is_deleted_while_it_runs": {"deleted": True, "there": False, "over": "completed", "lines": 2},
    "a_create_whose_answer_was_lost": {"batches": 1, "mine": True},
    "lists_come_to_an_end": {
        "files": True,
        "newest first": True,
        "batches": True,
        "after the last": [],
        "strange": 404,
    },
    "refusals_have_their_shape": {
        "401": [401, "AuthenticationError", True],
        "404": [404, "NotFoundError", True],
        "404 batch": [404, "NotFoundError", True],
        "404 input": [404, "NotFoundError", True],
        "404 route": [404, "NotFoundError", True],
        "405": [405, "APIStatusError", True],
        "413": [413, "APIStatusError", True],
        "400 purpose": [400, "BadRequestError", True],
        "400 window": [400, "BadRequestError", True],
        "400 endpoint": [400, "BadRequestError", True],
        "400 metadata": [400, "BadRequestError", True],
        "422": [422, "UnprocessableEntityError", True],
    },
    "too_many_batches_wait": {"refused": [429, "60"], "ended": ["cancelled"]},
    "private_members_pass_through": {
        "mine": {"deep": [1]},
        "state": "completed",
        "request id": True,
        "parsed": True,
    },
    "a_batch_brings_its_own_container": {"over": "completed", "body": {"n": 1}},
    "any_window_will_do": {"window": "90m", "lasts": 5400},
    "a_range_of_a_file": {"part": "234", "status": 206, "says": "bytes 2-4/10", "etag": True},
    "the_asynchronous_client": {"over": "completed", "lines": 3, "listed": True},
    "a_batch_runs_out_of_time": {
        "over": "expired",
        "output": ["r-0"],
        "errors": ["batch_expired"],
        "count": 3,
        "responses": True,
        "expired_at": True,
    },
}


@pytest.fixture(scope="module", params=VERSIONS)
def seen(request: pytest.FixtureRequest, openai_house: House, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one generation of the package saw, point by point."""
    version: str = request.param
    folder: Path = tmp_path_factory.mktemp("driver")
    done = drive(version, openai_house.url + "/v1", key_of(openai_house, f"v-{version}"), folder)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found.pop("version") == version
    return found


def test_every_point_has_its_answer() -> None:
    assert set(EXPECTED) == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_point(seen: dict[str, Any], point: str) -> None:
    assert seen[point].get("broken") is None, seen[point]["broken"]
    assert seen[point] == EXPECTED[point]
