"""The logs of running attempts through the door: who may see them, who may tell of them, and how much is kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import msgspec
import pytest

from fallow.core.live_log import KEPT_BYTES
from fallow.protocols.rest.work import Answer, Ask, Failure, Holding, LogPart, Report
from tests.web.conftest import House
from tests.web.test_work import hello


class Teller:
    """A worker that only talks."""

    def __init__(self, client: httpx2.Client) -> None:
        answer = hello(client)
        self.client = client
        self.worker_id, self.session = answer.json()["worker_id"], json.loads(answer.request.content)["session"]

    def ask(self, **fields: object) -> Answer:
        ask = Ask(self.worker_id, self.session, **fields)
        answer = self.client.post("/api/work", content=msgspec.json.encode(ask))
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Answer)


@dataclass
class Held:
    """A job of which a worker holds the one attempt."""

    worker: Teller
    job_id: str
    attempt_id: int

    def look(self, client: httpx2.Client, after: int = 0) -> httpx2.Response:
        return client.get(f"/api/jobs/{self.job_id}/attempts/{self.attempt_id}/log/live", params={"after": after})

    def tell(self, *parts: tuple[int, bytes], worker: Teller | None = None) -> tuple[int, ...]:
        """Which attempts are watched, as the worker hears."""
        logs = tuple(LogPart(self.attempt_id, start, data) for start, data in parts)
        return (worker or self.worker).ask(holding=(Holding(self.attempt_id),), logs=logs).watched


@pytest.fixture
def workers(house: House) -> Iterator[httpx2.Client]:
    with house.client(house.key("work", account="owner")) as client:
        yield client


@pytest.fixture
def held(house: House, admin: httpx2.Client, workers: httpx2.Client) -> Iterator[Held]:
    job = {"input_uri": house.input(3, "live.jsonl"), "command": ["cat"], "priority": 99}
    job_id = admin.post("/api/jobs", json=job).json()["job_id"]
    worker = Teller(workers)
    [lease] = next(found for _ in range(500) if (found := worker.ask(want=1).leases))
    assert lease.job_id == job_id
    yield Held(worker, job_id, lease.attempt_id)
    admin.post(f"/api/jobs/{job_id}/cancel")


def told(answer: httpx2.Response) -> tuple[bytes, int, int, bool]:
    """(the bytes, what was written before them, what is known now, whether that was all)"""
    assert answer.status_code == 200, answer.text
    headers = answer.headers
    over = {"true": True, "false": False}[headers["x-fallow-over"]]
    return answer.content, int(headers["x-fallow-start"]), int(headers["x-fallow-next"]), over


def test_only_what_somebody_looks_at_is_wanted_and_kept(held, admin):
    assert held.tell((0, b"nobody asked for this")) == ()
    assert told(held.look(admin)) == (b"", 0, 0, False)
    assert held.tell((0, b"<script>one\n")) == (held.attempt_id,)
    answer = held.look(admin)
    assert told(answer) == (b"<script>one\n", 0, 12, False)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    held.tell((4, b"ipt>one\ntwo\n"))
    assert told(held.look(admin, 12)) == (b"two\n", 12, 16, False)
    assert told(held.look(admin, 16)) == (b"", 16, 16, False)


def test_more_than_is_kept_loses_its_beginning(held, admin):
    held.look(admin)
    held.tell((0, b"x" * 100), (100, b"y" * (KEPT_BYTES + 10)))
    assert told(held.look(admin, 50)) == (b"y" * KEPT_BYTES, 110, 110 + KEPT_BYTES, False)


def test_who_does_not_hold_an_attempt_tells_nothing_of_it(held, admin, workers):
    held.look(admin)
    assert held.tell((0, b"a lie"), worker=Teller(workers)) == ()
    assert told(held.look(admin)) == (b"", 0, 0, False)


def test_somebody_elses_log_is_not_there(held, house):
    with house.client(house.key("submit", account="eve")) as eve:
        answer = held.look(eve)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert held.tell((0, b"secret")) == ()


def test_an_attempt_of_another_job_is_not_there(held, admin, finished):
    assert admin.get(f"/api/jobs/{finished}/attempts/{held.attempt_id}/log/live").status_code == 404


def test_the_rest_is_read_from_the_whole_log_when_it_is_over(admin, finished):
    attempt = admin.get(f"/api/jobs/{finished}/chunks/0/attempts").json()["attempts"][0]["attempt_id"]
    path = f"/api/jobs/{finished}/attempts/{attempt}/log/live"
    assert told(admin.get(path)) == (b"seven!\n", 0, 7, True)
    assert told(admin.get(path, params={"after": 3})) == (b"en!\n", 3, 7, True)
    assert told(admin.get(path, params={"after": 7, "wait_seconds": 30})) == (b"", 7, 7, True)
    assert admin.get(path, params={"after": -1}).status_code == 400


def test_numbers_that_no_column_holds_are_refused(held):
    ask = Ask(held.worker.worker_id, held.worker.session, logs=(LogPart(held.attempt_id, 2**60, b"x"),))
    answer = held.worker.client.post("/api/work", content=msgspec.json.encode(ask))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_what_was_told_is_swept_when_the_attempt_is_over(held, house, admin):
    """The janitor's step; whoever looks then is told that it is over."""
    held.look(admin)
    held.tell((0, b"said"))
    failure = Failure("submitter", "exit_code", "The program ended with exit code 1.", exit_code=1)
    held.worker.ask(reports=(Report(held.attempt_id, failure=failure),))
    store, clock = house.server.system.store, house.server.system.clock
    with store.transaction() as tx:
        tx.sweep_logs(clock.now(), 1000)
    with store.reading() as tx:
        assert tx.live_log(held.attempt_id) is None
        assert held.attempt_id not in tx.watched_logs(clock.now(), 1000)
    assert told(held.look(admin))[::3] == (b"", True)
