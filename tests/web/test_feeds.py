"""Feeds over a real socket: items appended, answers waited for."""

import threading
from collections.abc import Iterator

import httpx2
import pytest

from fallow.core.words import Engine
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions
from tests.web.conftest import House

FEED = {"feed": True, "command": ["cat"], "chunk_items": 2}


@pytest.fixture(scope="module")
def worker(house: House) -> Iterator[None]:
    stop = threading.Event()
    options = AgentOptions(
        server=house.url,
        token=house.server.admin_key,
        data_dir=house.folder / "feed-worker",
        engine=Engine.PROCESS,
        allow_process=True,
        drain_seconds=5,
    )
    thread = threading.Thread(target=run_agent, args=(options, stop))
    thread.start()
    yield
    stop.set()
    thread.join(60)


def opened(admin: httpx2.Client, **more: object) -> str:
    answer = admin.post("/api/jobs", json=FEED | more)
    assert answer.status_code == 201, answer.text
    return f"/api/jobs/{answer.json()['job_id']}"


def append(admin: httpx2.Client, job: str, number: object, body: bytes) -> httpx2.Response:
    headers = {"content-type": "application/jsonl"}
    return admin.post(f"{job}/items", params={"number": number}, content=body, headers=headers)  # type: ignore[dict-item]


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.usefixtures("worker")
def test_a_call_waits_for_the_answers_of_what_was_just_appended(admin: httpx2.Client) -> None:
    job = opened(admin)
    for number in range(3):
        lines = b"".join(b"%d\n" % n for n in range(number * 3, number * 3 + 3))
        view = append(admin, job, number, lines)
        assert (view.status_code, view.json()["parts"], view.json()["closed_at"]) == (200, number + 1, None)
        seen: list[str] = []
        while len(seen) < 3:
            wanted = number * 3 + len(seen)
            got = admin.get(f"{job}/answers", params={"items": [wanted], "wait_seconds": 30}, timeout=60)
            assert got.status_code == 200
            assert got.headers["x-fallow-over"] == "false"
            assert got.text, "it waited"
            seen += got.text.splitlines()
        assert seen == [f'{{"item":{n},"output":{n}}}' for n in range(number * 3, number * 3 + 3)]
    assert admin.post(f"{job}/close").json()["closed_at"]
    assert admin.post(f"{job}/close").status_code == 200
    after = admin.get(f"{job}/results", params={"after": 8, "wait_seconds": 30}, timeout=60)
    assert (after.text, after.headers["x-fallow-over"]) == ("", "true")
    assert admin.get(job).json()["state"] == "completed"


def test_a_call_that_waits_in_vain_is_answered_in_time(admin: httpx2.Client) -> None:
    job = opened(admin)
    for path in (f"{job}/answers?items=0&wait_seconds=0.3", f"{job}/results?wait_seconds=0.3"):
        answer = admin.get(path)
        assert (answer.status_code, answer.text, answer.headers["x-fallow-over"]) == (200, "", "false")


def test_a_job_that_ends_answers_those_who_wait(admin: httpx2.Client) -> None:
    job = opened(admin)
    got: list[httpx2.Response] = []
    waiting = threading.Thread(
        target=lambda: got.append(admin.get(f"{job}/answers?items=0&wait_seconds=30", timeout=60))
    )
    waiting.start()
    admin.post(f"{job}/cancel")
    waiting.join(30)
    assert [(each.status_code, each.text, each.headers["x-fallow-over"]) for each in got] == [(200, "", "true")]


def test_what_cannot_be_appended(admin: httpx2.Client, house: House) -> None:
    job = opened(admin)
    assert code(append(admin, job, 1, b"1\n")) == (409, "state_conflict")
    assert code(append(admin, job, -1, b"1\n"))[0] == 400
    assert code(append(admin, job, "x", b"1\n"))[0] == 400
    assert code(append(admin, job, 2**40, b"1\n"))[0] == 400
    assert code(append(admin, job, 0, b""))[0] == 400
    assert code(append(admin, job, 0, b"1\n" * 60_000)) == (413, "too_large")
    assert code(append(admin, "/api/jobs/nobody", 0, b"1\n")) == (404, "not_found")
    with house.client(house.key("submit", account="eve")) as stranger:
        assert code(append(stranger, job, 0, b"1\n")) == (404, "not_found")
        assert code(stranger.post(f"{job}/close")) == (404, "not_found")
        assert code(stranger.get(f"{job}/answers?items=0")) == (404, "not_found")
    assert append(admin, job, 0, b"1\n").json()["parts"] == 1
    admin.post(f"{job}/cancel")


@pytest.mark.parametrize(
    "query",
    ["", "items=-1", "items=x", "items=0&wait_seconds=31", "items=0&wait_seconds=nan", "&".join(["items=1"] * 501)],
)
def test_what_cannot_be_asked(admin: httpx2.Client, query: str) -> None:
    job = opened(admin)
    assert code(admin.get(f"{job}/answers?{query}"))[0] == 400
    admin.post(f"{job}/cancel")


@pytest.mark.parametrize(
    "more", [{"input_uri": "file:///in.jsonl"}, {"num_chunks": 2}, {"input_format": "csv"}, {"feed": False}]
)
def test_feeds_that_cannot_be(admin: httpx2.Client, more: dict[str, object]) -> None:
    assert code(admin.post("/api/jobs", json=FEED | more))[0] == 400
