"""/workers and /worker: what is shown, to whom, and that names are words."""

import json
from dataclasses import replace

import pytest

from fallow.core.words import Micros, WorkerId
from fallow.store.port import WorkerRow
from tests.web.conftest import House
from tests.web.ui.visiting import Visiting, faults

EVIL = '<script>alert(1)</script>"onmouseover="x'


def joined(house: House, worker_id: str, owner: str, **more: object) -> WorkerRow:
    """A worker's row as it would be after hello."""
    now = house.server.system.clock.now()
    capability = json.dumps(
        {"platform": "linux/arm64", "cores": 4, "memory_bytes": 8 << 30, "slots": 2, "engines": ["podman"]}
    )
    row = WorkerRow(WorkerId(worker_id), owner, worker_id, "edge", b"k" * 32, capability, "s", now, now)
    row = replace(row, **more)  # type: ignore[arg-type]
    with house.server.system.store.transaction() as tx:
        tx.add_account(owner, owner, now)
        tx.save_worker(row)
        tx.set_worker_backoff(row.worker_id, row.failures, row.backoff_until)
    return row


@pytest.fixture(scope="module")
def operator(house: House) -> Visiting:
    return Visiting(house)


def test_the_pages_nest_and_keep_to_their_policy(house: House, operator: Visiting) -> None:
    joined(house, "w-nests", "owner-1", name=EVIL, capability=json.dumps({"platform": EVIL, "engines": [EVIL]}))
    for path in (
        "/workers",
        "/workers?q=w-nests&label=edge",
        f"/workers?q={EVIL}",
        "/worker?worker_id=w-nests",
        "/worker?worker_id=w-nests&hours=1",
    ):
        page = operator.get(path)
        assert page.status_code == 200, path
        assert faults(page.text) == [], path
        assert "<script>alert" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_what_is_found_is_what_was_asked_for(house: House, operator: Visiting) -> None:
    joined(house, "w-cloudy", "owner-1", label="cloud")
    joined(house, "w-plain", "owner-1", label=None)
    shown = operator.get("/ui/workers/list?label=cloud").text
    assert "w-cloudy" in shown
    assert "w-plain" not in shown
    assert "w-plain" in operator.get("/ui/workers/list?label=none").text
    assert "w-cloudy" in operator.get("/ui/workers/list?q=ARM64&state=idle").text
    assert "No worker is like that" in operator.get("/workers?q=nothing-like-it").text
    assert operator.get("/workers?label=wrong").status_code == 400
    assert operator.get("/workers?q=" + "x" * 300).status_code == 400


def test_a_resting_worker_says_why(house: House, operator: Visiting) -> None:
    later = Micros(house.server.system.clock.now() + 200_000_000)
    joined(house, "w-rests", "owner-1", failures=5, backoff_until=later)
    page = operator.get("/worker?worker_id=w-rests").text
    assert "It failed 5 times in a row" in page
    assert "resting" in operator.get("/ui/workers/list?q=w-rests").text


def test_a_long_fleet_comes_in_pages(house: House, operator: Visiting) -> None:
    for number in range(60):
        joined(house, f"w-many-{number:02}", "owner-2")
    first = operator.get("/workers?q=w-many").text
    assert first.count('<tr id="row-') == 50
    assert "60 found" in first
    following = first[first.index('id="further" href="') + 19 :].partition('"')[0].replace("&amp;", "&")
    assert operator.get(following).text.count('<tr id="row-') == 10


def test_owners_see_their_own_and_strangers_none(house: House) -> None:
    joined(house, "w-owned", "owner-3")
    joined(house, "w-others", "owner-4")
    owner = Visiting(house, house.key("work", account="owner-3"))
    assert "w-owned" in owner.get("/workers").text
    assert "w-others" not in owner.get("/workers").text
    for path in (
        "/worker?worker_id=w-others",
        "/worker/timeline?worker_id=w-others",
        "/ui/worker/now?worker_id=w-others",
        "/ui/worker/history?worker_id=w-others",
        "/worker?worker_id=w-nobodys",
    ):
        assert owner.get(path).status_code == 404, path


def test_only_an_operator_or_the_owner_holds_a_worker(house: House, operator: Visiting) -> None:
    joined(house, "w-held", "owner-5")
    owner = Visiting(house, house.key("work", account="owner-5"))
    submitter = Visiting(house, house.key("submit", account="somebody"))
    asked = {"worker_id": "w-held"}
    assert "Give it nothing new" not in submitter.get("/worker?worker_id=w-held").text
    assert submitter.post("/worker/hold", asked).status_code == 403
    assert operator.post("/worker/hold", asked, token="wrong").status_code == 403
    for who in (owner, operator):
        assert "held" in who.post("/worker/hold", asked).text
        with house.server.system.store.reading() as tx:
            row = tx.worker(WorkerId("w-held"))
        assert row is not None
        assert row.held_at > 0
        assert "Give it nothing new" in who.post("/worker/release", asked).text


def test_a_history_hides_whose_job_it_was_from_others(house: House, finished: str) -> None:
    """The finished job is the operators'; a submitter sees that its worker did something, not what."""
    with house.server.system.store.reading() as tx:
        job = tx.job(finished)
        assert job is not None
        [first, *_] = tx.results(job.job_key, -1, 1)
    address = f"/worker?worker_id={first.worker_id}"
    submitter = Visiting(house, house.key("submit", account="curious"))
    page = submitter.get(address).text
    assert finished not in page
    assert "somebody else" in page
    assert finished in Visiting(house).get(address).text


def test_the_timeline_is_numbers(house: House, operator: Visiting, finished: str) -> None:
    with house.server.system.store.reading() as tx:
        job = tx.job(finished)
        assert job is not None
        [first, *_] = tx.results(job.job_key, -1, 1)
    seconds, items, failures = operator.get(f"/worker/timeline?worker_id={first.worker_id}&hours=1").json()
    assert len(seconds) == len(items) == len(failures) == 120
    assert seconds == sorted(seconds)
    span = seconds[1] - seconds[0]
    assert sum(rate * span for rate in items) >= 25 * 0.99
