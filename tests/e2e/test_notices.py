"""E-mail and webhook, received once each through a server that is killed and started again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.house import House, Process, numbered, wait_until
from tests.servers.mailbox import Mailbox, certificate_in, free_port, listening
from tests.servers.receiver import Receiver, receiving, unwrapped

Desk = Callable[..., House]


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    """Not listening yet; its port and certificate are known."""
    return Mailbox(port=free_port(), ca=certificate_in(tmp_path)[1])


@pytest.fixture
def receiver() -> Receiver:
    """Not listening yet."""
    return Receiver(port=free_port())


@pytest.fixture
def desk(house: Desk, mailbox: Mailbox) -> House:
    """A server that may send; it gives up a dead sender's claim after four seconds."""
    return house(
        "--allow-process",
        FALLOW_ALLOW_PRIVATE_ADDRESSES="true",
        FALLOW_SMTP_URL=mailbox.url,
        FALLOW_SMTP_CA=str(mailbox.ca),
        FALLOW_SMTP_FROM="fallow@farm.example",
        FALLOW_MAIL_BATCH_SECONDS="0.5",
        FALLOW_DELIVERY_RETRY_SECONDS="0.3",
        FALLOW_SEND_SECONDS="2",
        FALLOW_CLAIM_SECONDS="4",
    )


def ok(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


def account(desk: House, mailbox: Mailbox, tmp_path: Path) -> str:
    """A submitter whose address is confirmed by the link in a letter; her key."""
    ok(desk.call("POST", "/api/accounts", {"account_id": "ada", "name": "Ada", "email": "ada@farm.example"}))
    key = ok(desk.call("POST", "/api/keys", {"name": "k", "scopes": ["submit"], "account_id": "ada"}))["key"]
    with listening(mailbox, tmp_path):
        ok(desk.call("POST", "/api/me/confirm-email", key=key))
        wait_until("the letter that asks", lambda: mailbox.mails, 60)
        words = mailbox.mails.pop().get_body(("plain",)).get_content().split()  # type: ignore[union-attr]
        path = next(each for each in words if "/confirm-email/" in each).removeprefix(desk.url)
        assert desk.call("POST", path, key="").status_code == 200
    return str(key)


def run_job(desk: House, key: str, tmp_path: Path, job_id: str) -> None:
    items = tmp_path / f"{job_id}.jsonl"
    items.write_bytes(b"".join(numbered(20)))
    body = {"job_id": job_id, "input_uri": items.as_uri(), "command": ["cat"], "chunk_items": 10}
    ok(desk.call("POST", "/api/jobs", body, key=key))
    worker: Process = desk.worker("box", "--engine", "process", "--allow-process")
    assert desk.wait_over(job_id)["state"] == "completed"
    worker.stop()


def deliveries(desk: House, key: str) -> list[dict[str, Any]]:
    return list(ok(desk.call("GET", "/api/deliveries", key=key))["deliveries"])


def tried(desk: House, key: str) -> list[dict[str, Any]]:
    return [each for each in deliveries(desk, key) if each["kind"] == "job.completed" and each["last_try"]]


def settled(desk: House, key: str, count: int) -> list[dict[str, Any]]:
    """All deliveries, once they are delivered."""

    def found() -> list[dict[str, Any]] | None:
        rows = deliveries(desk, key)
        return rows if len(rows) == count and {each["state"] for each in rows} == {"delivered"} else None

    return list(wait_until(f"{count} deliveries", found, 60))


def test_one_letter_and_one_call_through_a_killed_server(
    desk: House, mailbox: Mailbox, receiver: Receiver, tmp_path: Path
) -> None:
    """The job ends while nobody listens; the server is killed between its tries, and both come up afterwards."""
    key = account(desk, mailbox, tmp_path)
    hook = ok(desk.call("POST", "/api/webhooks", {"name": "mine", "url": receiver.url}, key=key))
    run_job(desk, key, tmp_path, "once")
    wait_until("a try of each", lambda: len(tried(desk, key)) == 2, 60)
    assert {each["last_try"]["status"] for each in tried(desk, key)} == {0}
    desk.server.kill()
    with listening(mailbox, tmp_path), receiving(receiver):
        desk.start_server()
        settled(desk, key, 3)  # with the letter that asked
        desk.server.stop()
        desk.start_server()
        settled(desk, key, 3)
    (mail,) = mailbox.mails
    assert mail["to"] == "ada@farm.example"
    assert mail["subject"] == "Job once is complete"
    assert mailbox.was_encrypted[-1]
    (call,) = receiver.taken
    event = unwrapped(call, hook["secret"])
    assert (event.type, event.data.id) == ("job.completed", "once")


def test_a_sender_that_dies_with_a_call_in_its_hand_makes_it_once_more_under_the_same_name(
    desk: House, mailbox: Mailbox, receiver: Receiver, tmp_path: Path
) -> None:
    key = account(desk, mailbox, tmp_path)
    with listening(mailbox, tmp_path), receiving(receiver):
        hook = ok(desk.call("POST", "/api/webhooks", {"name": "mine", "url": receiver.url}, key=key))
        receiver.gate.clear()
        run_job(desk, key, tmp_path, "held")
        wait_until("the call", lambda: "sending" in {each["state"] for each in deliveries(desk, key)}, 60)
        desk.server.kill()
        receiver.gate.set()  # the receiver says yes to nobody
        desk.start_server()
        settled(desk, key, 3)
        assert len(mailbox.mails) == 1
        events = [unwrapped(each, hook["secret"]) for each in receiver.taken]
        assert len(events) >= 1
        assert len({event.id for event in events}) == 1, "a receiver knows by the id that it has it"
        assert len({each.body for each in receiver.taken}) == 1
