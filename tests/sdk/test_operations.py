"""The client against the API's own description: each operation has one method, and the method calls it."""

import inspect
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import fallow
from fallow.protocols.rest.jobs import JobRequest
from fallow.sdk.operations import Operation, operations_of
from tests.sdk.conftest import Farm
from tests.sdk.test_client import Script, door, said, say  # noqa: F401  door is a fixture

VERBS = ("get", "put", "post", "delete", "head", "patch")
SAID = operations_of(fallow.Client)
EXAMPLES: dict[str, Any] = {
    "job_id": "job-1",
    "chunk_id": 3,
    "attempt_id": 7,
    "key_id": "k-1",
    "account_id": "ada",
    "application": "ghcr.io/org/model",
    "session": "0123456789abcdef",
    "old": "the old one",
    "new": "the new one",
    "name": "somebody",
    "names": ["output.jsonl"],
    "scopes": ["submit"],
    "notice_id": "evt_0123456789abcdef01234567",
    "webhook_id": "wh_0123456789abcdef01234567",
    "delivery_id": "dlv_0123456789abcdef01234567",
    "url": "https://r.example/hook",
    "mail": {"job.failed": True},
    "endpoints": ["/v1/embeddings"],
    "job": {},
    "request": JobRequest(input_uri="s3://b/in.jsonl", container_image="model:1"),
    "number": 0,
    "lines": b"1\n",
    "items": [0],
    "first_items": [0],
}


@pytest.fixture(scope="module")
def described(farm: Farm) -> dict[tuple[str, str], dict[str, Any]]:
    """(verb, path) -> the operation, of everything below /api."""
    paths = httpx2.get(farm.server.url + "/openapi.json").json()["paths"]
    return {
        (verb.upper(), path): operation
        for path, operations in paths.items()
        for verb, operation in operations.items()
        if verb in VERBS and path.startswith("/api/")
    }


def test_each_operation_has_one_method_and_each_method_an_operation(
    described: dict[tuple[str, str], dict[str, Any]],
) -> None:
    counted = Counter((each.verb, each.path) for said in SAID.values() for each in said)
    assert counted == Counter(described.keys())


@pytest.mark.parametrize("name", SAID)
def test_a_method_takes_what_its_operations_take(name: str, described: dict[tuple[str, str], dict[str, Any]]) -> None:
    taken = set(inspect.signature(getattr(fallow.Client, name)).parameters)
    for operation in SAID[name]:
        given = described[operation.verb, operation.path].get("parameters", ())
        wanted = {each["name"] for each in given if each["in"] in ("path", "query")}
        assert operation.own <= wanted | {"name", "limit", "after", "wait_seconds"}
        missing = {operation.named.get(each, each) for each in wanted - operation.own} - taken
        assert not missing, f"{operation.verb} {operation.path}"


@pytest.mark.parametrize("name", SAID)
def test_a_method_calls_what_it_says(name: str, door: Script, tmp_path: Path) -> None:  # noqa: F811
    """Against a door that refuses everything: the first call of the method is its operation's."""
    door.answer = lambda handler: say(handler, 418, said({"error": {"code": "no", "message": "No."}}))
    file = tmp_path / "in.jsonl"
    file.write_text("{}\n")
    with fallow.Client(door.url) as client:
        for operation in SAID[name]:
            door.asked.clear()
            with pytest.raises(fallow.Refusal, match=r"No|418"):
                exhausted(getattr(client, name), operation, {**EXAMPLES, "path": file, "directory": tmp_path})
            if operation.verb == "PUT" and name == "upload":
                continue  # its first call asks how much is there
            verb, _, path = door.asked[0].partition(" ")
            assert verb == operation.verb
            assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", operation.path), path.partition("?")[0])


def exhausted(method: Callable[..., Any], operation: Operation, examples: dict[str, Any]) -> None:
    """Calls the method with what its operation needs, and reads what it gives to the end."""
    parameters = inspect.signature(method).parameters.values()
    in_path = {operation.named.get(each, each) for each in re.findall(r"\{(\w+)\}", operation.path)}
    given = [each for each in parameters if each.kind is not each.VAR_KEYWORD]
    wanted = [each.name for each in given if each.default is each.empty or each.name in in_path]
    answer = method(**{each: examples[each] for each in wanted})
    if hasattr(answer, "__next__"):
        list(answer)
