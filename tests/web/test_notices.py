"""The notices' calls and the links in letters, through a real server; webhooks as the openai package knows them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fallow.control.notices import Told, tell
from fallow.core.notices import BATCH_EVENTS, EVENTS, NoticeKind
from fallow.settings import Settings
from fallow.wiring import EmbeddedServer, start_embedded
from tests.cli.command import fallow
from tests.e2e.house import wait_until
from tests.servers.mailbox import Mailbox, listening
from tests.servers.receiver import Call, Receiver, openai_package, receiving, unwrapped
from tests.web.conftest import House


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as made:
        yield made


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with listening(Mailbox(), tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[House]:
    """A server that sends mail and may call receivers on this machine."""
    folder = tmp_path_factory.mktemp("told")
    settings = Settings(
        data_dir=folder / "data",
        allow_private_addresses=True,
        allow_process_jobs=True,
        smtp_url=mailbox.url,
        smtp_ca=str(mailbox.ca),
        smtp_from="fallow@farm.example",
        mail_batch_seconds=0.2,
        delivery_retry_seconds=0.05,
        send_seconds=2.0,
    )
    server = start_embedded(settings)
    yield House(server, folder)
    server.stop()


def say(server: EmbeddedServer, account: str, number: int | str, kind: NoticeKind = NoticeKind.JOB_COMPLETED) -> None:
    system = server.system
    with system.store.transaction() as tx:
        item = Told(account, kind, f"job-{number}", f"Job {number} <script>", "Body", f"{account}-{number}")
        assert tell(tx, item, system.clock.now(), system.settings)


def deliveries(client: httpx2.Client, **query: str) -> list[dict[str, Any]]:
    answer = client.get("/api/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveries"])


def delivered(client: httpx2.Client, webhook_id: str) -> dict[str, Any]:
    """The webhook's newest delivery, once it is over."""

    def over() -> dict[str, Any] | None:
        found = deliveries(client, webhook_id=webhook_id)
        return found[0] if found and found[0]["state"] in ("delivered", "failed", "dropped") else None

    return dict(wait_until("the end of the delivery", over, 60))


def test_notices_are_listed_and_read(told: House) -> None:
    with told.client(told.key("submit", account="nora")) as nora, told.client(told.key("submit", account="eve")) as eve:
        for number in range(3):
            say(told.server, "nora", number)
        found = nora.get("/api/notices", params={"limit": 2}).json()
        assert [each["subject_id"] for each in found["notices"]] == ["job-2", "job-1"]
        assert found["unread"] == 3
        rest = nora.get("/api/notices", params={"after": found["next"]}).json()
        assert [each["subject_id"] for each in rest["notices"]] == ["job-0"]
        first = found["notices"][0]["notice_id"]
        assert eve.post(f"/api/notices/{first}/read").status_code == 404
        assert eve.get("/api/notices", params={"after": first}).status_code == 404
        assert nora.post(f"/api/notices/{first}/read").status_code == 204
        assert nora.get("/api/notices", params={"unread": "true"}).json()["unread"] == 2
        assert nora.get("/api/notices", params={"kind": "job.failed"}).json()["notices"] == []
        assert nora.post("/api/notices/read").status_code == 204
        assert nora.get("/api/notices").json()["unread"] == 0
        assert nora.post("/api/notices/no-such/read").status_code == 404


def test_a_workers_key_reads_no_notices(told: House) -> None:
    with told.client(told.key("work", account="nora")) as worker:
        for path in ("/api/notices", "/api/webhooks", "/api/deliveries", "/api/notice-choices"):
            assert worker.get(path).status_code == 403, path
    assert httpx2.get(told.url + "/api/webhooks").status_code == 401


def test_a_webhook_is_called_signed_and_listed(told: House, receiver: Receiver) -> None:
    with told.client(told.key("submit", account="wanda")) as wanda, told.client(told.key("submit")) as alice:
        made = wanda.post("/api/webhooks", json={"name": "mine", "url": receiver.url}).json()
        assert made["event_types"] == [each.value for each in EVENTS]
        assert "secret" not in wanda.get(f"/api/webhooks/{made['webhook_id']}").json()
        say(told.server, "wanda", "a")
        assert delivered(wanda, made["webhook_id"])["last_try"]["status"] == 200
        event = unwrapped(receiver.taken[-1], made["secret"])
        assert (event.object, event.type, event.data.id) == ("event", "job.completed", "job-a")
        with pytest.raises(openai_package().InvalidWebhookSignatureError):
            unwrapped(receiver.taken[-1], "whsec_" + "A" * 44)
        listed = deliveries(wanda)
        assert [each["channel"] for each in listed] == ["webhook"]
        assert alice.get(f"/api/deliveries/{listed[0]['delivery_id']}").status_code == 404
        assert alice.get(f"/api/webhooks/{made['webhook_id']}").status_code == 404
        assert alice.delete(f"/api/webhooks/{made['webhook_id']}").status_code == 404
        again = wanda.post(f"/api/deliveries/{listed[0]['delivery_id']}/send-again")
        assert again.status_code == 202
        assert delivered(wanda, made["webhook_id"])["state"] == "delivered"
        wait_until("the second round", lambda: len(receiver.taken) >= 2, 60)
        assert receiver.taken[-1].headers["webhook-id"] == event.id
        assert wanda.delete(f"/api/webhooks/{made['webhook_id']}").status_code == 204
        assert wanda.get(f"/api/webhooks/{made['webhook_id']}").status_code == 404


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ((500, {}, b"oops"), "HTTP 500: oops"),
        ((302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), "HTTP 302"),
        ((503, {"Retry-After": "0"}, b""), "HTTP 503"),
        ((429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b""), "HTTP 429"),
        ((500, {}, b"x" * 5_000_000), "HTTP 500: " + "x" * 200),
    ],
)
def test_a_receiver_in_trouble_is_called_again(
    told: House, receiver: Receiver, trouble: tuple[int, dict[str, str], bytes], said: str
) -> None:
    with told.client(told.key("submit", account="tess")) as tess:
        made = tess.post("/api/webhooks", json={"name": "mine", "url": receiver.url}).json()
        receiver.answers.append(trouble)
        say(told.server, "tess", made["webhook_id"])
        found = delivered(tess, made["webhook_id"])
        history = tess.get(f"/api/deliveries/{found['delivery_id']}").json()["history"]
        assert [(each["status"], each["error"]) for each in history] == [(200, ""), (trouble[0], said)]
        assert tess.delete(f"/api/webhooks/{made['webhook_id']}").status_code == 204


def test_a_receiver_that_does_not_answer_holds_up_nobody_for_long(told: House) -> None:
    with receiving(Receiver()) as slow, told.client(told.key("submit", account="sloane")) as sloane:
        slow.gate.clear()
        made = sloane.post("/api/webhooks", json={"name": "slow", "url": slow.url}).json()
        say(told.server, "sloane", "slow")
        first = wait_until("a try", lambda: (deliveries(sloane) or [{}])[0].get("last_try"), 60)
        assert first["status"] == 0
        assert "it took more than 2 seconds" in first["error"]
        slow.gate.set()
        assert delivered(sloane, made["webhook_id"])["state"] == "delivered"


def test_a_receiver_that_is_gone_disables_its_webhook(told: House, receiver: Receiver) -> None:
    with told.client(told.key("submit", account="gus")) as gus:
        made = gus.post("/api/webhooks", json={"name": "mine", "url": receiver.url}).json()
        receiver.answers.append((410, {}, b""))
        say(told.server, "gus", "gone")
        assert delivered(gus, made["webhook_id"])["state"] == "failed"
        path = f"/api/webhooks/{made['webhook_id']}"
        assert gus.get(path).json()["enabled"] is False
        assert gus.patch(path, json={"enabled": True}).json()["enabled"] is True


def test_private_addresses_are_not_called_unless_they_may_be(house: House, receiver: Receiver) -> None:
    with house.client(house.key("submit", account="ssrf")) as client:
        refused = client.post("/api/webhooks", json={"name": "x", "url": receiver.url})
        assert refused.status_code == 400
        assert refused.json()["error"]["details"] == {"field": "url"}
        port = receiver.port
        made = client.post("/api/webhooks", json={"name": "x", "url": f"https://127.0.0.1:{port}/"}).json()
        before = len(receiver.taken) + len(receiver.refused)
        tried = client.post(f"/api/webhooks/{made['webhook_id']}/test", json={}).json()
        assert tried["delivered"] is False
        assert "is not a public address" in tried["error"]
        say(house.server, "ssrf", "x")
        assert delivered(client, made["webhook_id"])["state"] == "failed"
        assert len(receiver.taken) + len(receiver.refused) == before


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "url": "https://r.example/"},
        {"name": "x" * 201, "url": "https://r.example/"},
        {"name": "x", "url": "https://r.example/\nX: y"},
        {"name": "x", "url": "file:///etc/passwd"},
        {"name": "x", "url": "https://a:b@r.example/"},
        {"name": "x", "url": "https://r.example/", "event_types": ["job.sneezed"]},
        {"name": "x", "url": "https://r.example/", "secret": "mine"},
    ],
)
def test_a_bad_webhook_is_refused(told: House, body: dict[str, Any]) -> None:
    with told.client() as admin:
        assert admin.post("/api/webhooks", json=body).status_code == 400


def test_the_openai_package_keeps_webhooks_here(told: House, receiver: Receiver) -> None:
    openai = openai_package()
    client = openai.OpenAI(api_key=told.key("submit", account="olive"), base_url=told.url + "/v1", max_retries=0)
    events = [each.value for each in BATCH_EVENTS]
    assert set(events) <= set(client.webhooks.event_types.list().data)
    made = client.webhooks.create(name="mine", url=receiver.url, event_types=events)
    assert made.signing_secret.startswith("whsec_")
    assert made.object == "webhook_endpoint"
    other = client.webhooks.create(name="other", url=receiver.url, event_types=events[:1])
    assert [each.id for each in client.webhooks.list(limit=1)] == [other.id, made.id]
    assert client.webhooks.retrieve(made.id).signing_secret_hint == "whsec_…" + made.signing_secret[-4:]
    assert client.webhooks.update(made.id, name="new").name == "new"
    tested = client.webhooks.test(made.id, event_type="batch.completed")
    assert (tested.status_code, tested.success) == (200, True)
    event = unwrapped(receiver.taken[-1], made.signing_secret)
    assert (event.type, event.data.id) == ("batch.completed", "batch_example")
    rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    client.webhooks.test(made.id, event_type="batch.failed")
    for secret in (made.signing_secret, rotated.signing_secret):
        assert unwrapped(receiver.taken[-1], secret).type == "batch.failed"
    final = client.webhooks.rotate_secret(made.id)
    client.webhooks.test(made.id, event_type="batch.expired")
    assert unwrapped(receiver.taken[-1], final.signing_secret).type == "batch.expired"
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(receiver.taken[-1], rotated.signing_secret)
    assert client.webhooks.delete(made.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.webhooks.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.webhooks.list(after=made.id)
    with pytest.raises(openai.BadRequestError):
        client.webhooks.create(name="x", url="ftp://x", event_types=events)


def test_a_batch_is_told_of_as_openai_tells(told: House, receiver: Receiver) -> None:
    """One that is refused for its input, and one that is cancelled: told once its files are there."""
    openai = openai_package()
    client = openai.OpenAI(api_key=told.key("submit", account="bea"), base_url=told.url + "/v1", max_retries=0)
    with told.client() as admin:
        model = {"name": "echo", "endpoints": ["/v1/embeddings"], "job": {"command": ["cat"], "contract": "stream"}}
        assert admin.post("/api/models", json=model).status_code < 300
    hook = client.webhooks.create(name="b", url=receiver.url, event_types=[each.value for each in BATCH_EVENTS])
    line = {"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "echo", "input": "x"}}
    good = json.dumps(line).encode()
    for content, kind in ((good + b"\n{not json\n", "batch.failed"), (good + b"\n", "batch.cancelled")):
        file = client.files.create(purpose="batch", file=("in.jsonl", content))
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h")
        if kind == "batch.cancelled":
            client.batches.cancel(batch.id)
        calls = wait_until(f"the call for {kind}", lambda batch=batch: called_for(receiver, batch.id), 60)
        event = unwrapped(calls[0], hook.signing_secret)
        assert (event.type, event.data.id) == (kind, batch.id)
        assert client.batches.retrieve(batch.id).status == kind.removeprefix("batch.")
    client.webhooks.delete(hook.id)


def called_for(receiver: Receiver, subject_id: str) -> list[Call]:
    with receiver.lock:
        return [each for each in receiver.taken if json.loads(each.body)["data"]["id"] == subject_id]


def test_mail_is_confirmed_sent_encrypted_and_unsubscribed_from(told: House, mailbox: Mailbox) -> None:
    with told.client(told.key("submit", account="mia")) as mia, told.client() as admin:
        changed = admin.patch("/api/accounts/mia", json={"email": "mia@farm.example"})
        assert changed.status_code == 200, changed.text

        def letters() -> list[Any]:
            with mailbox.lock:
                return [each for each in mailbox.mails if each["to"] == "mia@farm.example"]

        wait_until("the letter that asks", lambda: len(letters()) == 1, 60)
        link = next(
            each for each in letters()[0].get_body(("plain",)).get_content().split() if "/confirm-email/" in each
        )
        assert "Yes, it is mine" in httpx2.get(link).text
        assert not mia.get("/api/me").json().get("email_confirmed_at"), "looking is not following"
        assert "The address is confirmed" in httpx2.post(link).text
        say(told.server, "mia", "m")
        wait_until("the letter", lambda: len(letters()) == 2, 60)
        letter = letters()[1]
        assert letter["subject"] == "Job m <script>"
        assert "&lt;script&gt;" in letter.get_body(("html",)).get_content()
        assert all(mailbox.was_encrypted)
        link = letter["list-unsubscribe"].strip("<>")
        assert "A job or batch is complete" in httpx2.get(link).text
        assert mia.get("/api/notice-choices").json()["mail"]["job.completed"] is True
        one_click = httpx2.post(link, content=b"List-Unsubscribe=One-Click")
        assert one_click.status_code == 200
        assert mia.get("/api/notice-choices").json()["mail"]["job.completed"] is False
        assert mia.patch("/api/notice-choices", json={"mail": {"job.completed": True}}).status_code == 200
        assert httpx2.get(link[:-4] + "AAAA").status_code == 403
        assert httpx2.post(told.url + "/unsubscribe/rubbish").status_code == 403


def test_mail_of_many_notices_is_one_letter_and_an_unknown_mailbox_ends_it(told: House, mailbox: Mailbox) -> None:
    with told.client(told.key("submit", account="dan")) as dan, told.client() as admin:
        admin.patch("/api/accounts/dan", json={"email": "dan@farm.example"})

        def all_over(count: int) -> bool:
            found = deliveries(dan)
            return len(found) == count and {each["state"] for each in found} == {"delivered"}

        wait_until("the letter that asks", lambda: all_over(1), 60)
        assert told.server.system.door.notices.confirm("dan", "dan@farm.example")
        mailbox.replies.append("451 4.3.0 later")
        for number in range(5):
            say(told.server, "dan", number)
        wait_until("all five", lambda: all_over(6), 60)
        with mailbox.lock:
            sent = [each for each in mailbox.mails if each["to"] == "dan@farm.example"][1:]
            refused = [each for each in mailbox.handed_over if each["to"] == "dan@farm.example"]
        assert len(refused) == 1
        ids = [each["message-id"] for each in sent]
        assert ids.count(refused[0]["message-id"]) == 1
        assert len(ids) == len(set(ids))
        text = "".join(each.get_body(("plain",)).get_content() for each in sent)
        assert [text.count(f"Job {number} <script>") for number in range(5)] == [1] * 5
        mailbox.unknown.add("dan@farm.example")
        say(told.server, "dan", "lost")
        last = wait_until(
            "the refusal",
            lambda: next((each for each in deliveries(dan) if each["state"] == "failed"), None),
            60,
        )
        assert last["last_try"]["status"] == 550


def test_a_relay_with_tls_from_the_first_byte(tmp_path: Path) -> None:
    from fallow.control.sending import Mail, Verdict
    from fallow.wiring.senders import mail_sender

    with listening(Mailbox(), tmp_path, implicit=True) as box:
        url = box.url.replace("smtp://", "smtps://")
        given = Settings(data_dir=tmp_path, smtp_url=url, smtp_from="f@farm.example", smtp_ca=str(box.ca))
        letter = Mail("a@farm.example", b"Subject: x\r\n\r\nhello\r\n")
        post = mail_sender(given)
        assert post is not None
        assert post(letter).verdict is Verdict.ARRIVED
        unknown = mail_sender(Settings(data_dir=tmp_path, smtp_url=url, smtp_from="f@farm.example"))
        assert unknown is not None
        distrusted = unknown(letter)
        assert (distrusted.verdict, distrusted.status) == (Verdict.AGAIN, 0)
        assert "certificate" in distrusted.error
        wrong = mail_sender(
            Settings(
                data_dir=tmp_path, smtp_url=url.replace("a%20p", "b"), smtp_from="f@farm.example", smtp_ca=str(box.ca)
            )
        )
        assert wrong is not None
        refused = wrong(letter)
        assert refused.verdict is Verdict.AGAIN
        assert refused.status == 535 or "is the password right?" in refused.error
        assert len(box.mails) == 1


def test_the_command_adds_tests_lists_and_removes_webhooks_and_shows_notices(told: House, receiver: Receiver) -> None:
    given = {"FALLOW_SERVER": told.url, "FALLOW_TOKEN": told.key("submit", account="cleo")}
    added = fallow("webhook", "add", "desk", receiver.url, "--event", "job.failed", "--json", **given)
    made = json.loads(added.stdout)
    assert made["event_types"] == ["job.failed"]
    assert (
        fallow("webhook", "test", made["webhook_id"], "--event", "job.failed", **given).stdout == "It answered 200.\n"
    )
    assert unwrapped(receiver.taken[-1], made["secret"]).type == "job.failed"
    receiver.answers.append((500, {}, b"no"))
    failed = fallow("webhook", "test", made["webhook_id"], **given)
    assert (failed.returncode, failed.stderr) == (1, "It was not taken: HTTP 500: no\n")
    changed = fallow("webhook", "rotate", made["webhook_id"], "--at-once", **given).stdout.strip()
    assert changed.startswith("whsec_")
    assert changed != made["secret"]
    assert made["webhook_id"] in fallow("webhook", "list", **given).stdout
    say(told.server, "cleo", "c")
    shown = fallow("notices", "--read", **given).stdout
    assert "job.completed\tJob c <script>\tunread" in shown
    assert fallow("notices", "--unread", **given).stdout == ""
    fallow("webhook", "remove", made["webhook_id"], **given)
    assert fallow("webhook", "list", **given).stdout == ""
    assert fallow("webhook", "remove", made["webhook_id"], **given).returncode == 2
