"""News, notices, choices, webhooks, deliveries and their tries, on both databases."""

import threading
from dataclasses import replace

import pytest

from fallow.core.lifecycle import DeliveryEvent, IllegalMove, JobEvent
from fallow.core.notices import Channel, DeliveryState, NoticeKind
from fallow.core.words import Micros
from fallow.store.opening import open_store
from fallow.store.port import DeliveryRow, NoticeRow, Store, WebhookRow
from tests.store.yard import SECOND, T0, Yard

UNTIL = Micros(T0 + 20 * SECOND)
LATER = Micros(T0 + 60 * SECOND)


def notice(number: int, account: str = "acme", kind: NoticeKind = NoticeKind.JOB_COMPLETED) -> NoticeRow:
    return NoticeRow(f"evt_{number}", account, kind, f"job-{number}", "Done", "All of it.", "{}", f"d-{number}", T0)


def delivery(number: int, key: int, channel: Channel = Channel.WEBHOOK, target: str = "wh_1") -> DeliveryRow:
    return DeliveryRow(f"dlv_{number}", key, "acme", channel, target, DeliveryState.WAITING, T0, T0)


@pytest.fixture
def filled(store: Store) -> Store:
    """Three notices of acme, each on its way to one webhook and one address."""
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        for number in range(3):
            key = tx.add_notice(notice(number))
            assert key is not None
            tx.add_delivery(delivery(number, key))
            tx.add_delivery(delivery(10 + number, key, Channel.EMAIL, "a@example.org"))
    return store


def claim(store: Store, channel: Channel, letter: str, now: Micros = T0, limit: int = 100) -> list[DeliveryRow]:
    with store.transaction() as tx:
        return tx.claim_deliveries(channel, letter, now, Micros(now + 20 * SECOND), limit)


def move(store: Store, row: DeliveryRow, event: DeliveryEvent, next_at: Micros | None = None) -> bool:
    with store.transaction() as tx:
        return tx.move_delivery(row, event, T0, next_at)


def test_the_end_of_a_job_is_news_in_its_own_transaction(yard: Yard) -> None:
    job = yard.job(1, 0)
    with yard.store.reading() as tx:
        assert not tx.is_news()
    with pytest.raises(RuntimeError, match="the power is gone"), yard.store.transaction() as tx:  # noqa: PT012  the block is the point
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "key k-1", T0)
        raise RuntimeError("the power is gone")
    with yard.store.reading() as tx:
        assert not tx.is_news()
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "key k-1", LATER)
    with yard.store.transaction() as tx:
        assert tx.is_news()
        (news,) = tx.news(10)
        assert (news.at, news.job_key, news.kind) == (LATER, job.job_key, NoticeKind.JOB_CANCELLED)
        assert not tx.is_batch(job.job_key)
        tx.drop_news(news.news_id)
        assert tx.news(10) == []


def test_two_notifiers_do_not_take_the_same_news(yard: Yard, store_url: str) -> None:
    job = yard.job(1, 0)
    with yard.store.transaction() as tx:
        tx.move_job(job.job_key, JobEvent.CANCEL, "", "key k-1", T0)
    taken: list[int] = []
    other = open_store(store_url)

    def take() -> None:
        with other.transaction() as tx:
            taken.extend(each.news_id for each in tx.news(10))

    second = threading.Thread(target=take)
    with yard.store.transaction() as tx:
        (news,) = tx.news(10)
        second.start()  # waits on SQLite, skips on PostgreSQL
        tx.drop_news(news.news_id)
    second.join(60)
    other.close()
    assert taken == []


def test_the_same_thing_is_told_once(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        first = tx.add_notice(notice(1))
        assert first is not None
        assert tx.add_notice(replace(notice(2), dedupe="d-1")) is None
        assert tx.was_told("d-1")
        assert not tx.was_told("d-2")
        found = tx.notice("evt_1")
        assert found == replace(notice(1), notice_key=first) == tx.notice_by_key(first)
        assert tx.notice("evt_2") is None


def test_notices_are_listed_read_and_forgotten(filled: Store) -> None:
    with filled.transaction() as tx:
        tx.add_notice(notice(7, kind=NoticeKind.JOB_FAILED))
        ids = [each.notice_id for each in tx.notices("acme", before=None, limit=2)]
        assert ids == ["evt_7", "evt_2"]
        last = tx.notices("acme", before=None, limit=2)[-1].notice_key
        assert [each.notice_id for each in tx.notices("acme", before=last, limit=9)] == ["evt_1", "evt_0"]
        only = tx.notices("acme", before=None, limit=9, kinds=[NoticeKind.JOB_FAILED, NoticeKind.WORKER_SILENT])
        assert [each.notice_id for each in only] == ["evt_7"]
        assert tx.notices("other", before=None, limit=9) == []
        assert tx.read_notice("acme", "evt_7", LATER)
        assert not tx.read_notice("other", "evt_1", LATER)
        assert tx.unread_notices("acme") == 3
        assert len(tx.notices("acme", before=None, limit=9, unread=True)) == 3
        assert tx.read_notices("acme", LATER) == 3
        assert tx.unread_notices("acme") == 0
    with filled.transaction() as tx:
        assert tx.forget_notices(T0, 100) == 0
        tx.add_try(1, T0, 200, "", 0.1)
        assert tx.forget_notices(Micros(T0 + 1), 3) == 3
        assert [each.notice_id for each in tx.notices("acme", before=None, limit=9)] == ["evt_7"]
        assert tx.deliveries("acme", before=None, limit=9) == []


def test_choices_and_addresses(store: Store) -> None:
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        tx.add_account("operators", "operators", T0)
        assert tx.notice_choices("acme") == {}
        tx.set_notice_choice("acme", NoticeKind.JOB_FAILED, True)
        tx.set_notice_choice("acme", NoticeKind.JOB_FAILED, False)
        assert tx.notice_choices("acme") == {NoticeKind.JOB_FAILED: False}
        assert tx.watching_accounts() == ["operators"]
        found = tx.addressee("acme")
        assert found is not None
        assert (found.name, found.email, found.confirmed, found.enabled) == ("Acme", None, False, True)
        assert tx.addressee("nobody") is None
        assert not tx.confirm_email("acme", "a@example.org", T0)


def test_webhooks_are_kept_changed_and_deleted(store: Store) -> None:
    row = WebhookRow("wh_1", "acme", "n", "https://a.example/", "whsec_x", (NoticeKind.BATCH_COMPLETED,), T0)
    with store.transaction() as tx:
        tx.add_account("acme", "Acme", T0)
        tx.add_webhook(row)
        tx.add_webhook(replace(row, webhook_id="wh_2"))
        assert [each.webhook_id for each in tx.webhooks("acme")] == ["wh_2", "wh_1"]
        first = tx.webhook("wh_1")
        assert first == replace(row, webhook_key=first.webhook_key if first else 0)
        changed = replace(first, name="m", secret="whsec_y", old_secret="whsec_x", old_secret_until=LATER)
        tx.save_webhook(changed)
        assert tx.webhook("wh_1") == changed
        tx.save_webhook(replace(changed, deleted_at=LATER))
        tx.save_webhook(changed)
        assert tx.webhook("wh_1") is None, "a change that comes too late does not bring it back"
        assert [each.webhook_id for each in tx.webhooks("acme")] == ["wh_2"]
        assert tx.webhooks("other") == []


def test_one_webhook_delivery_is_claimed_at_a_time_and_its_target_left_alone(filled: Store) -> None:
    with filled.transaction() as tx:
        key = tx.notices("acme", before=None, limit=1)[0].notice_key
        tx.add_delivery(delivery(9, key, target="wh_2"))
        tx.add_delivery(delivery(8, key, target="wh_2"))  # is there already
    with filled.reading() as tx:
        assert tx.is_delivery_due(Channel.WEBHOOK, T0)
        assert not tx.is_delivery_due(Channel.WEBHOOK, Micros(T0 - 1))
    (first,) = claim(filled, Channel.WEBHOOK, "one", limit=1)
    assert (first.delivery_id, first.state, first.claim_owner) == ("dlv_0", DeliveryState.SENDING, "one")
    (second,) = claim(filled, Channel.WEBHOOK, "two", limit=1)
    assert second.target == "wh_2"
    assert claim(filled, Channel.WEBHOOK, "three", limit=1) == []
    assert move(filled, first, DeliveryEvent.CONFIRM)
    assert not move(filled, first, DeliveryEvent.CONFIRM)
    assert [each.delivery_id for each in claim(filled, Channel.WEBHOOK, "four", limit=1)] == ["dlv_1"]


def test_mail_to_one_address_goes_out_together_and_is_tried_again_together(filled: Store) -> None:
    letter = claim(filled, Channel.EMAIL, "letter-1")
    assert [each.delivery_id for each in letter] == ["dlv_10", "dlv_11", "dlv_12"]
    for row in letter:
        assert move(filled, row, DeliveryEvent.RETRY, LATER)
    with filled.transaction() as tx:
        key = tx.add_notice(notice(5))
        assert key is not None
        tx.add_delivery(delivery(15, key, Channel.EMAIL, "a@example.org"))
    new = claim(filled, Channel.EMAIL, "letter-2")
    assert [each.delivery_id for each in new] == ["dlv_15"]
    assert move(filled, new[0], DeliveryEvent.CONFIRM)
    again = claim(filled, Channel.EMAIL, "letter-3", LATER)
    assert [(each.delivery_id, each.claim_owner, each.tries) for each in again] == [
        ("dlv_10", "letter-1", 1),
        ("dlv_11", "letter-1", 1),
        ("dlv_12", "letter-1", 1),
    ]


def test_what_a_dead_sender_held_goes_out_under_the_same_name(filled: Store) -> None:
    held = claim(filled, Channel.EMAIL, "letter-1")
    assert claim(filled, Channel.EMAIL, "letter-2", Micros(UNTIL - 1)) == []
    again = claim(filled, Channel.EMAIL, "letter-2", UNTIL)
    assert [each.delivery_id for each in again] == [each.delivery_id for each in held]
    assert {each.claim_owner for each in again} == {"letter-1"}
    assert not move(filled, held[0], DeliveryEvent.CONFIRM), "the dead one woke up: too late"
    assert move(filled, again[0], DeliveryEvent.CONFIRM)


def test_a_delivery_that_is_over_can_be_sent_again(filled: Store) -> None:
    (row,) = claim(filled, Channel.WEBHOOK, "one", limit=1)
    with filled.transaction() as tx:
        tx.add_try(row.delivery_key, T0, 500, "HTTP 500", 0.25)
        tx.add_try(row.delivery_key, LATER, 0, "no answer", 9.5)
        assert tx.move_delivery(row, DeliveryEvent.GIVE_UP, LATER)
    with filled.transaction() as tx:
        over = tx.delivery("dlv_0")
        assert over is not None
        assert (over.state, over.tries, over.over_at) == (DeliveryState.FAILED, 1, LATER)
        assert [(each.number, each.status, each.error) for each in tx.tries(over.delivery_key)] == [
            (2, 0, "no answer"),
            (1, 500, "HTTP 500"),
        ]
        with pytest.raises(IllegalMove):
            tx.move_delivery(over, DeliveryEvent.CONFIRM, LATER)
        assert tx.move_delivery(over, DeliveryEvent.SEND_AGAIN, LATER)
    with filled.reading() as tx:
        again = tx.delivery("dlv_0")
        assert again is not None
        assert (again.state, again.tries, again.claim_owner, again.over_at) == (DeliveryState.WAITING, 0, "", None)
        listed = tx.deliveries("acme", before=None, limit=99, target="wh_1")
        assert [each.delivery.delivery_id for each in listed] == ["dlv_2", "dlv_1", "dlv_0"]
        assert listed[-1].last is not None
        assert listed[-1].last.error == "no answer"
        assert listed[0].last is None
        assert listed[0].notice.notice_id == "evt_2"
        key = listed[0].notice.notice_key
        assert len(tx.deliveries("acme", before=None, limit=99, notice_key=key)) == 2
        assert tx.deliveries("other", before=None, limit=99) == []
    assert move(filled, again, DeliveryEvent.DROP)


def test_a_target_that_does_not_answer_is_left_alone_for_a_while(filled: Store) -> None:
    with filled.transaction() as tx:
        tx.put_off_deliveries(Channel.WEBHOOK, "wh_1", LATER)
    assert claim(filled, Channel.WEBHOOK, "one", limit=1) == []
    assert len(claim(filled, Channel.WEBHOOK, "one", LATER, limit=1)) == 1


def test_couriers_of_many_threads_claim_each_delivery_once(filled: Store, store_url: str) -> None:
    with filled.transaction() as tx:
        keys = [each.notice_key for each in tx.notices("acme", before=None, limit=9)]
        for number in range(30):
            tx.add_delivery(delivery(100 + number, keys[number % 3], target=f"wh_{10 + number}"))
    claimed: list[str] = []
    other = open_store(store_url)

    def work(store: Store, name: str) -> None:
        while rows := claim(store, Channel.WEBHOOK, name, limit=1):
            claimed.extend(each.delivery_id for each in rows)

    threads = [threading.Thread(target=work, args=(filled if n % 2 else other, f"c{n}")) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    assert len(claimed) == len(set(claimed)) == 31
