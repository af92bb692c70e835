"""A worker with nothing to do waits in its call, and is answered when there is something."""

import json
import secrets
import threading

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fallow.core.words import Label
from fallow.protocols.rest import work as wire
from tests.web.conftest import House

CAPABILITY = wire.CapabilityMessage("linux/amd64", 2.0, 1 << 30, 1 << 30, 1, ("process",), ("stream",))


class Hand:
    """A worker that is asked by hand. Its label keeps the jobs of other tests away."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        key, self.session = Ed25519PrivateKey.generate(), secrets.token_hex(8)
        hello = wire.Hello(
            public_key=key.public_key().public_bytes_raw(),
            session=self.session,
            name="hand",
            label=Label.ON_PREM,
            capability=CAPABILITY,
            time=1,
            signature=key.sign(b"fallow-hello:" + self.session.encode()),
        )
        answer = client.post("/api/work/hello", content=msgspec.json.encode(hello))
        self.worker_id = msgspec.json.decode(answer.content, type=wire.Welcome).worker_id

    def ask(self, **more: object) -> wire.Answer:
        fields = {"worker_id": self.worker_id, "session": self.session, "want": 1} | more
        answer = self.client.post("/api/work", content=json.dumps(fields), timeout=60)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=wire.Answer)


@pytest.fixture
def hand(house: House) -> Hand:
    return Hand(house.client(house.key("work", account="owner")))


def test_who_does_not_say_how_long_is_answered_at_once(hand: Hand) -> None:
    """An agent of an older release: it rests by itself."""
    assert hand.ask().wait_seconds == 1.0


def test_who_waited_in_vain_need_not_rest(hand: Hand) -> None:
    said = hand.ask(wait_seconds=1.0)
    assert (said.leases, said.wait_seconds) == ((), 0.0)


@pytest.mark.parametrize(
    "more",
    [
        {"leaving": True},
        {"want": 0},
        {"holding": [{"attempt_id": 5}]},
        {"reports": [{"attempt_id": 5, "failure": {"failure_class": "worker", "code": "x", "message": "y"}}]},
    ],
)
def test_who_has_something_to_say_is_answered_at_once(hand: Hand, more: dict[str, object]) -> None:
    assert hand.ask(wait_seconds=1000.0, **more).wait_seconds > 0


def test_what_comes_meanwhile_is_leased(house: House, admin: httpx2.Client, hand: Hand) -> None:
    got: list[wire.Answer] = []

    def wait() -> None:
        for _ in range(30):
            got.append(hand.ask(wait_seconds=2.0))
            if got[-1].leases:
                return

    waiting = threading.Thread(target=wait)
    waiting.start()
    job = {"input_uri": house.input(1, "patience.jsonl"), "command": ["cat"], "worker_label": "on_prem"}
    job_id = admin.post("/api/jobs", json=job).json()["job_id"]
    waiting.join(60)
    assert [each.job_id for each in got[-1].leases] == [job_id]
    admin.post(f"/api/jobs/{job_id}/cancel")
