"""What belongs to somebody else is not there: no call tells a stranger its ids from ids that nobody has.

Made from /openapi.json, so that a new call is held to it as soon as it is described.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.web.conftest import House
from tests.web.described import operations

ITS_OWN = {"name", "digest"}
"""Parameters that name nothing of anybody's: each account has its own names; images are named by what is in them."""

NOBODYS = {
    "job_id": "job-nobodys",
    "chunk_id": "0",
    "attempt_id": "999999999",
    "key_id": "0123456789ab",
}


@dataclass(frozen=True)
class Owned:
    """Of alice. ids: by the parameter that takes them."""

    ids: dict[str, str]
    key: str


@pytest.fixture(scope="module")
def alices(house: House, finished: str) -> Owned:
    """A finished job, a key, and what the OpenAI door and the notices keep, where they are."""
    key = house.key("submit", account="alice")
    with house.client(key) as alice:
        uri = alice.put("/api/inputs/hers.jsonl", content=b'{"n":1}\n').json()["uri"]
        job = {"input_uri": uri, "input_format": "jsonl", "command": ["cat"], "chunk_items": 1}
        made = alice.post("/api/jobs", json=job)
        assert made.status_code == 201, made.text
        ids = {
            "job_id": made.json()["job_id"],
            "chunk_id": "0",
            "attempt_id": "1",
            "key_id": alice.get("/api/keys").json()["keys"][0]["key_id"],
            "account_id": "alice",
        }
        ids |= _of_openai(alice) | _of_notices(alice)
    return Owned(ids, key)


def _of_openai(alice: httpx2.Client) -> dict[str, str]:
    line = b'{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}\n'
    file = alice.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", line)})
    if file.status_code != 200:
        return {}
    said = {"input_file_id": file.json()["id"], "endpoint": "/v1/embeddings", "completion_window": "24h"}
    batch = alice.post("/v1/batches", json=said)
    upload = alice.post(
        "/v1/uploads", json={"purpose": "batch", "filename": "x", "bytes": 10, "mime_type": "application/jsonl"}
    )
    found = {"file_id": file.json()["id"]}
    if batch.status_code == 200:
        found["batch_id"] = batch.json()["id"]
    if upload.status_code == 200:
        found["upload_id"] = upload.json()["id"]
    return found


def _of_notices(alice: httpx2.Client) -> dict[str, str]:
    hook = alice.post("/api/webhooks", json={"name": "hers", "url": "https://example.org/hook", "events": []})
    return {"webhook_id": str(hook.json().get("webhook_id") or hook.json().get("id"))} if hook.is_success else {}


@pytest.fixture
def stranger(house: House) -> Iterator[httpx2.Client]:
    with house.client(house.key("submit", account="mallory")) as client:
        yield client


def nobodys(real: str) -> str:
    """An id of the same form that nobody has."""
    return re.sub(r"[0-9a-f]{6,}\Z", lambda found: "0" * len(found[0]), real) if not real.isdigit() else real


@pytest.fixture
def calls(house: House) -> list:
    return operations(house.url)


def test_a_strangers_calls_say_the_same_of_what_is_alices_and_of_what_is_nobodys(house, alices, stranger, calls):
    looked, told = 0, []
    for operation in calls:
        wanted = set(re.findall(r"{(\w+)}", operation.path))
        if not wanted or wanted & ITS_OWN or operation.path.endswith("/events"):
            continue
        if not wanted <= set(alices.ids):
            continue
        looked += 1
        hers = {name: alices.ids[name] for name in wanted}
        theirs = {**hers, **{name: other for name in wanted if (other := _other(name, hers[name])) != hers[name]}}
        for case in examples(operation, hers):
            answers = []
            for ids in (hers, theirs):
                case.path_parameters = dict(ids)
                answers.append(case.call(base_url=house.url, headers=dict(stranger.headers), timeout=20))
            both = zip(answers, (hers, theirs), strict=True)
            seen = [(answer.status_code, _without(answer.text, ids)) for answer, ids in both]
            if answers[0].status_code < 400 or seen[0] != seen[1]:
                told.append(f"{operation.label}: {seen}")
    assert told == []
    assert looked >= 12


def _other(name: str, hers: str) -> str:
    return NOBODYS.get(name, nobodys(hers))


def _without(text: str, ids: dict[str, str]) -> str:
    """The answer without the ids that were sent, and without the id of the request."""
    for each in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(each, "ID")
    return text


def examples(operation, ids) -> list:
    """A few requests that the description allows, for this thing."""
    found = []

    @settings(
        max_examples=3,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(path_parameters=ids))
    def collect(case):
        found.append(case)

    collect()
    return found


def test_alice_herself_can_read_what_is_hers(house, alices):
    with house.client(alices.key) as alice:
        for path in ("/api/jobs/{job_id}", "/api/jobs/{job_id}/chunks", "/api/jobs/{job_id}/story"):
            assert alice.get(path.format(**alices.ids)).status_code == 200, path
        if "file_id" in alices.ids:
            assert alice.get(f"/v1/files/{alices.ids['file_id']}").status_code == 200


def test_lists_hold_only_ones_own(alices, stranger):
    for path in ("/api/jobs", "/api/keys", "/api/workers", "/v1/files", "/v1/batches", "/api/webhooks", "/api/notices"):
        said = stranger.get(path)
        for name, each in alices.ids.items():
            if len(each) > 5:
                assert each not in said.text, (path, name)


def test_a_signed_url_of_alices_opens_only_what_it_says(house, alices, stranger):
    said = stranger.post("/api/jobs", json={"input_uri": f"fallow:uploads/{'alice'}/hers.jsonl", "command": ["cat"]})
    assert said.status_code in (400, 403, 404), said.text


def test_every_id_is_known_to_this_table(calls, alices):
    """A new kind of id: make one of alice's in the fixture above."""
    unknown = {
        name
        for operation in calls
        for name in re.findall(r"{(\w+)}", operation.path)
        if name not in ITS_OWN and name not in alices.ids and name not in OPERATORS_ONLY
    }
    assert unknown == set()


OPERATORS_ONLY = {"session", "model", "notice_id", "delivery_id", "webhook_id", "upload_id", "batch_id", "file_id"}
"""Ids of things that only operators, or only oneself, can name, and those of doors that may be closed."""
