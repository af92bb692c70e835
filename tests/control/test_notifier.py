"""The notifier and the couriers over real rows, with a clock that the test moves; senders that the test hears."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fallow.control.callers import Caller
from fallow.control.notices import Told, tell
from fallow.control.sending import Sent, Verdict
from fallow.core.job import Requirements
from fallow.core.lifecycle import JobEvent
from fallow.core.notices import EVENTS, TRIES_MAX, DeliveryState, NoticeKind, next_try_seconds
from fallow.core.progress import Counters
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Label, Micros, Scope
from fallow.store.port import JobRow
from tests.control.notice_desk import ACME, Desk
from tests.store.yard import spec


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def end(desk: Desk, job: JobRow, event: JobEvent = JobEvent.CANCEL) -> None:
    with desk.store.transaction() as tx:
        tx.move_job(job.job_key, event, "", "key k-1", desk.clock.now(), "the <b>reason</b>")


def test_the_end_of_a_job_becomes_one_notice(desk: Desk) -> None:
    desk.webhooks.add(ACME, "all", "https://r.example/hook")
    end(desk, desk.yard.job(1, 0))
    assert desk.notifier.step()
    assert not desk.notifier.step()
    assert not desk.another_notifier().step()
    assert desk.titles() == ["Job job-1 was cancelled"]
    desk.drain()
    ((url, body, headers),) = desk.calls
    assert url == "https://r.example/hook"
    assert b'"type":"job.cancelled"' in body
    assert b'"data":{"id":"job-1"' in body
    assert headers["webhook-id"].startswith("evt_")


def test_a_job_that_is_run_again_is_told_of_again(desk: Desk) -> None:
    job = desk.yard.job(1, 0)
    end(desk, job)
    desk.clock.advance(1)
    with desk.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.RERUN, "", "key k-1", desk.clock.now())
    desk.clock.advance(1)
    end(desk, job)
    desk.notifier.step()
    assert len(desk.titles()) == 2


def test_a_batch_is_told_of_once_its_files_are_there(desk: Desk) -> None:
    job = desk.yard.job(1, 0, name="batch_1")
    writer = desk.store._writer
    writer.execute(
        "INSERT INTO batch (job_key, account_id, endpoint, model, input_file_id, completion_window, metadata,"
        " request_sha256, created_at) VALUES (?, 'acme', '/v1/x', 'm', 'file-1', '24h', '{}', '', 1)",
        (job.job_key,),
    )
    desk.webhooks.add(ACME, "mine", "https://r.example/hook", ["batch.cancelled"])
    end(desk, job)
    assert not desk.notifier.step()
    writer.execute("UPDATE batch SET published_at = 2")
    assert desk.notifier.step()
    desk.drain()
    ((_, body, headers),) = desk.calls
    seconds = desk.clock.now() // 1_000_000
    event_id = headers["webhook-id"]
    assert body.decode() == (
        f'{{"object":"event","id":"{event_id}","type":"batch.cancelled","created_at":{seconds},'
        '"data":{"id":"batch_1"}}'
    )


def test_a_job_that_nobody_can_take_needs_attention_once(desk: Desk) -> None:
    desk.yard.job(2, 0)
    desk.notifier.look()
    desk.clock.advance(599)
    desk.notifier.look()
    assert desk.titles() == []
    desk.clock.advance(2)
    second = desk.another_notifier()
    second.look()
    assert desk.notifier.look()
    desk.clock.advance(601)
    desk.notifier.look()
    second.look()
    assert desk.titles() == ["Job job-1 waits, and nobody can take it"]
    with desk.store.reading() as tx:
        assert "no worker has joined yet" in tx.notices("acme", before=None, limit=1)[0].body


def test_a_job_that_somebody_can_take_needs_nobody(desk: Desk) -> None:
    desk.yard.job(2, 0)
    for _ in range(3):
        desk.worker("w-1", seen=desk.clock.now())
        desk.notifier.look()
        desk.clock.advance(400)
    assert desk.titles() == []


@pytest.mark.parametrize(
    ("counters", "said"),
    [
        (Counters(items_total=100, items_done=40, items_error=15), "15 of the first 40 items failed (38 %)"),
        (Counters(items_total=100, items_done=40, items_error=5), ""),
        (Counters(items_total=100, items_done=10, items_error=10), ""),
        (Counters(attempts_over=12, attempts_errored=9), "9 of 12 attempts failed"),
        (Counters(attempts_over=12, attempts_errored=5), ""),
    ],
)
def test_trouble_is_seen_while_something_can_be_done(desk: Desk, counters: Counters, said: str) -> None:
    from fallow.control.notifier import troubled

    assert troubled(replace(desk.yard.job(1, 0), counters=counters)) == said


def test_a_silent_worker_is_told_of_once_a_silence(desk: Desk) -> None:
    start = desk.clock.now()
    desk.worker("w-1", seen=start)
    desk.worker("polite", seen=start, leaving=True)
    desk.clock.advance(700)
    assert desk.notifier.look()
    assert not desk.notifier.look()
    desk.another_notifier().look()
    assert desk.titles() == ["Worker w-1 is silent"] == desk.titles("operators")
    desk.worker("w-1", seen=desk.clock.now())
    desk.clock.advance(700)
    desk.notifier.look()
    assert len(desk.titles()) == 2


def test_a_volunteers_machine_may_be_switched_off_at_any_time(desk: Desk) -> None:
    desk.worker("b-1.1", seen=desk.clock.now())
    desk.worker("w-1", seen=desk.clock.now())
    desk.clock.advance(700)
    desk.notifier.look()
    assert desk.titles() == ["Worker w-1 is silent"]


def test_a_server_that_was_away_listens_before_it_speaks_of_silence(desk: Desk) -> None:
    desk.worker("w-1", seen=desk.clock.now())
    desk.clock.advance(86_400)
    started = desk.another_notifier()
    started.look()
    assert desk.titles() == []
    desk.clock.advance(601)
    started.look()
    assert desk.titles() == ["Worker w-1 is silent"]


def test_a_disk_at_its_edge_is_one_story(desk: Desk) -> None:
    for room in (999, 1001, 998, 1200, 3):
        desk.room = room
        desk.notifier.look()
        desk.another_notifier().look()
    assert desk.titles("operators") == ["The disk of farm is nearly full"]
    desk.room = 1251
    assert desk.notifier.look()
    desk.room = 999
    desk.clock.advance(1)
    assert desk.notifier.look()
    assert len(desk.titles("operators")) == 2
    assert desk.titles() == []


def test_old_notices_go(desk: Desk) -> None:
    desk.tell()
    desk.clock.advance(desk.settings.retention_seconds + 1)
    assert desk.notifier.look()
    assert desk.titles() == []


def test_notices_of_a_while_go_out_in_one_letter(desk: Desk) -> None:
    desk.address()
    for number in range(3):
        desk.tell(number, title=f"Job {number} is complete")
    desk.clock.advance(59)
    assert not desk.courier.send_mail()
    desk.clock.advance(2)
    desk.drain()
    (mail,) = desk.letters()
    assert mail["to"] == "ada@farm.example"
    assert mail["subject"] == "Job 2 is complete (and 2 more)"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    for part in (plain.get_content(), html.get_content()):
        assert all(f"Job {number} is complete" in part for number in range(3))
        assert "https://farm.example/job?job_id=job-1" in part
    assert set(desk.states()) == {DeliveryState.DELIVERED}
    assert not desk.courier.send_mail()


def test_a_letter_can_be_unsubscribed_from_with_one_click(desk: Desk) -> None:
    desk.address()
    desk.tell()
    desk.clock.advance(61)
    desk.drain()
    (mail,) = desk.letters()
    assert mail["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    found = re.fullmatch(r"<https://farm\.example/unsubscribe/(\S+)>", mail["list-unsubscribe"])
    assert found
    said = desk.links.read_unsubscribe(found[1])
    assert (said.account_id, said.kinds) == ("acme", (NoticeKind.JOB_COMPLETED,))
    with pytest.raises(Refusal):
        desk.links.read_unsubscribe(found[1][:-2] + "AA")
    desk.notices.choose("acme", dict.fromkeys(said.kinds, False))
    desk.tell(1)
    desk.clock.advance(61)
    desk.drain()
    assert len(desk.mails) == 1


def test_names_in_headlines_start_no_header_and_no_tag(desk: Desk) -> None:
    desk.address()
    desk.tell(title='Job "<script>alert(1)</script>\r\nBcc: evil@x.example\n\nhi" is complete')
    desk.clock.advance(61)
    desk.drain()
    (mail,) = desk.letters()
    assert mail["bcc"] is None
    assert "Bcc: evil" in mail["subject"]
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "&lt;script&gt;" in html.get_content()


@pytest.mark.parametrize(
    "email", ["a@b.example\nBcc: c@d.example", "a@b.example, c@d.example", "<a@b.example>", "a b@c.example", "a@b@c"]
)
def test_what_is_no_address_gets_no_mail(desk: Desk, email: str) -> None:
    desk.address(email)
    desk.tell()
    desk.clock.advance(61)
    desk.drain()
    assert desk.mails == []
    assert desk.states() == [DeliveryState.FAILED]


def test_mail_goes_to_confirmed_addresses_only(desk: Desk) -> None:
    desk.address(confirmed=False)
    desk.tell()
    assert desk.states() == []
    assert desk.notices.request_confirmation("acme")
    assert not desk.notices.request_confirmation("acme"), "a second letter within minutes"
    desk.drain()
    (mail,) = desk.letters()
    assert mail["list-unsubscribe"] is None
    plain = mail.get_body(("plain",))
    assert plain is not None
    token = re.search(r"https://farm\.example/confirm-email/(\S+)", plain.get_content())
    assert token
    asked = desk.links.read_confirm(token[1])
    assert not desk.notices.confirm("acme", "other@farm.example")
    assert desk.notices.confirm(asked.account_id, asked.email)
    desk.tell(1)
    assert desk.states()[0] is DeliveryState.WAITING
    desk.clock.advance(4 * 86_400)
    with pytest.raises(Refusal) as refused:
        desk.links.read_confirm(token[1])
    assert refused.value.code is Code.URL_EXPIRED


def test_an_address_that_changed_before_the_letter_went_gets_none(desk: Desk) -> None:
    desk.address()
    desk.tell()
    desk.address("new@farm.example")
    desk.clock.advance(61)
    desk.drain()
    assert desk.mails == []
    assert desk.states() == [DeliveryState.DROPPED]


def test_what_waits_for_an_address_that_somebody_else_has_now_costs_them_no_letter(desk: Desk) -> None:
    desk.address()
    desk.tell(title="For Ada")
    desk.address("new@farm.example")
    desk.store._writer.execute(
        "UPDATE account SET email = 'ada@farm.example', email_confirmed_at = 1 WHERE account_id = 'operators'"
    )
    with desk.store.transaction() as tx:
        told = Told("operators", NoticeKind.JOB_COMPLETED, "job-9", "For the next Ada", "All of it.", "d-9")
        assert tell(tx, told, desk.clock.now(), desk.settings)
    desk.clock.advance(61)
    desk.drain()
    (letter,) = desk.letters()
    assert letter["subject"] == "For the next Ada"
    assert desk.states() == [DeliveryState.DROPPED]


def test_a_letter_is_tried_again_under_the_same_name_and_to_its_end(desk: Desk) -> None:
    desk.address()
    desk.tell()
    desk.answers = [Sent(Verdict.AGAIN, 451, "SMTP 451: later")] * TRIES_MAX
    for _ in range(TRIES_MAX + 3):
        desk.clock.advance(86_400)
        desk.drain()
    assert len(desk.mails) == TRIES_MAX
    assert len({each["message-id"] for each in desk.letters()}) == 1
    assert desk.states() == [DeliveryState.FAILED]
    row = desk.notices.deliveries(ACME, None, 9)[0][0]
    assert len(desk.notices.delivery(ACME, row.delivery.delivery_id)[1]) == TRIES_MAX
    desk.answers = []
    desk.notices.send_again(ACME, row.delivery.delivery_id)
    with pytest.raises(Refusal, match="it is on its way"):
        desk.notices.send_again(ACME, row.delivery.delivery_id)
    desk.drain()
    assert desk.states() == [DeliveryState.DELIVERED]
    assert desk.letters()[-1]["message-id"] != desk.letters()[0]["message-id"], "asked for: a mailbox must show it"


def test_a_webhook_event_keeps_its_id_and_waits_as_long_as_it_was_asked_to(desk: Desk) -> None:
    hook = desk.webhooks.add(ACME, "h", "https://r.example/")
    desk.tell()
    desk.answers = [Sent(Verdict.AGAIN, 503, "busy", wait_seconds=300.0)]
    desk.drain()
    desk.clock.advance(299)
    desk.drain()
    assert len(desk.calls) == 1
    desk.clock.advance(2)
    desk.drain()
    (_, first, one), (_, second, two) = desk.calls
    assert (first, one["webhook-id"]) == (second, two["webhook-id"])
    assert int(two["webhook-timestamp"]) == int(one["webhook-timestamp"]) + 301
    assert desk.states() == [DeliveryState.DELIVERED]
    assert desk.webhooks.one(ACME, hook.webhook_id).disabled_at is None


def test_a_receiver_that_is_gone_is_called_no_more(desk: Desk) -> None:
    hook = desk.webhooks.add(ACME, "h", "https://r.example/")
    desk.tell(0)
    desk.tell(1)
    desk.answers = [Sent(Verdict.GONE, 410, "HTTP 410")]
    desk.drain()
    assert len(desk.calls) == 1
    assert desk.states() == [DeliveryState.DROPPED, DeliveryState.FAILED]
    assert desk.webhooks.one(ACME, hook.webhook_id).disabled_at is not None
    desk.tell(2)
    assert len(desk.states()) == 2


def test_slow_receivers_take_only_some_of_the_doors_threads_while_they_are_tested(desk: Desk) -> None:
    hook = desk.webhooks.add(ACME, "mine", "https://hooks.example/a").webhook_id
    refused: list[Code] = []

    def slow(url: str, body: bytes, headers: dict[str, str]) -> Sent:
        """While it waits, somebody tests again."""
        try:
            desk.webhooks.test(ACME, hook, "job.completed")
        except Refusal as refusal:
            refused.append(refusal.code)
        return Sent(Verdict.ARRIVED, 200)

    desk.webhooks._post = slow
    for _ in range(2):
        assert desk.webhooks.test(ACME, hook, "job.completed").status == 200
    assert refused == [Code.TOO_MANY, Code.TOO_MANY]


def test_nothing_is_sent_for_an_account_that_is_shut_out(desk: Desk) -> None:
    desk.webhooks.add(ACME, "mine", "https://hooks.example/a")
    desk.tell(0)
    desk.store._writer.execute("UPDATE account SET disabled_at = 1 WHERE account_id = 'acme'")
    desk.tell(1)
    desk.drain()
    assert desk.calls == []
    assert desk.states() == [DeliveryState.DROPPED]


def test_both_secrets_sign_for_a_day(desk: Desk) -> None:
    hook = desk.webhooks.add(ACME, "h", "https://r.example/")
    changed = desk.webhooks.rotate(ACME, hook.webhook_id, keep_old=True)
    assert changed.secret != hook.secret
    desk.tell(0)
    desk.drain()
    desk.clock.advance(86_401)
    desk.tell(1)
    desk.drain()
    assert [len(headers["webhook-signature"].split()) for _, _, headers in desk.calls] == [2, 1]
    desk.webhooks.rotate(ACME, hook.webhook_id, keep_old=False)
    desk.tell(2)
    desk.drain()
    assert len(desk.calls[-1][2]["webhook-signature"].split()) == 1


def test_other_peoples_things_are_not_there(desk: Desk) -> None:
    hook = desk.webhooks.add(ACME, "h", "https://r.example/")
    desk.tell()
    (notice,), _ = desk.notices.listed(ACME)
    (delivery,), _ = desk.notices.deliveries(ACME, None, 9)
    eve = Caller("k-2", "eve", frozenset(Scope))
    for ask in (
        lambda: desk.webhooks.one(eve, hook.webhook_id),
        lambda: desk.webhooks.test(eve, hook.webhook_id, EVENTS[0]),
        lambda: desk.notices.one(eve, notice.notice_id),
        lambda: desk.notices.read(eve, notice.notice_id),
        lambda: desk.notices.delivery(eve, delivery.delivery.delivery_id),
        lambda: desk.notices.send_again(eve, delivery.delivery.delivery_id),
    ):
        with pytest.raises(Refusal) as refused:
            ask()
        assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "url",
    [
        "http://r.example/",
        "ftp://r.example/",
        "https://",
        "https://user:word@r.example/",
        "https://r.example/\r\nX: y",
        "https://r.example/ö",
        "https://r.example/" + "a" * 2000,
        "javascript:alert(1)",
    ],
)
def test_a_webhook_has_a_plain_https_url(desk: Desk, url: str) -> None:
    with pytest.raises(Refusal) as refused:
        desk.webhooks.add(ACME, "h", url)
    assert refused.value.code is Code.BAD_REQUEST


def test_waits_grow_from_ten_seconds_to_half_a_day() -> None:
    waits = [next_try_seconds(tries, 10.0, None, 0.5) for tries in range(1, TRIES_MAX + 1)]
    assert waits == [10, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200, None]
    assert next_try_seconds(1, 10.0, 10**9, 0.0) == 86_400
    assert next_try_seconds(1, 10.0, None, 0.0) == 8


def test_a_job_with_requirements_says_which(desk: Desk) -> None:
    from fallow.control.notifier import nobody_for

    job = desk.yard.job(1, 0)
    wanting = replace(job, spec=replace(spec(), requirements=Requirements(label=Label.CLOUD)))
    desk.worker("w-1", seen=desk.clock.now())
    with desk.store.reading() as tx:
        workers = tx.workers()
    assert nobody_for(wanting, workers, desk.clock.now(), desk.settings) == ["label=cloud excludes 1 of 1 workers"]
    assert nobody_for(job, workers, desk.clock.now(), desk.settings) == []
    tired = [replace(workers[0], backoff_until=Micros(desk.clock.now() + 9), failures=3)]
    assert nobody_for(job, tired, desk.clock.now(), desk.settings) == ["w-1 rests after 3 failures in a row"]
