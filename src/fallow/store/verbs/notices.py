"""News, notices and webhooks. Deliveries are in deliveries.py."""

from collections.abc import Sequence

from fallow.core.notices import NoticeKind
from fallow.core.words import JobKey, Micros
from fallow.store.port import Addressee, NewsRow, NoticeRow, WebhookRow
from fallow.store.rows import storable
from fallow.store.session import Row
from fallow.store.verbs.base import Verbs

NEWEST = 2**62  # above every key
NOTICE_WIDTH = 11
_FORGET_STEPS = ("forget_tries", "forget_deliveries", "forget_notice")


class NoticeVerbs(Verbs):
    def is_news(self) -> bool:
        return self.session.one("is_news", {}) is not None

    def news(self, limit: int) -> list[NewsRow]:
        return [
            NewsRow(row[0], row[1], row[2], NoticeKind(row[3])) for row in self.session.all("news", {"limit": limit})
        ]

    def is_batch(self, job_key: JobKey) -> bool:
        return self.session.one("is_batch", {"job_key": job_key}) is not None

    def drop_news(self, news_id: int) -> None:
        self.session.run("drop_news", {"news_id": news_id})

    def add_notice(self, notice: NoticeRow) -> int | None:
        row = self.session.one(
            "add_notice",
            {
                "notice_id": notice.notice_id,
                "account_id": notice.account_id,
                "kind": notice.kind.value,
                "subject_id": storable(notice.subject_id),
                "title": storable(notice.title),
                "body": storable(notice.body),
                "payload": storable(notice.payload),
                "dedupe": storable(notice.dedupe),
                "created_at": notice.created_at,
            },
        )
        return None if row is None else int(row[0])

    def notice(self, notice_id: str) -> NoticeRow | None:
        row = self.session.one("notice", {"notice_id": notice_id})
        return None if row is None else notice_of(row)

    def notice_by_key(self, notice_key: int) -> NoticeRow | None:
        row = self.session.one("notice_by_key", {"notice_key": notice_key})
        return None if row is None else notice_of(row)

    def was_told(self, dedupe: str) -> bool:
        return self.session.one("was_told", {"dedupe": storable(dedupe)}) is not None

    def notices(
        self, account_id: str, *, before: int | None, limit: int, kinds: Sequence[NoticeKind] = (), unread: bool = False
    ) -> list[NoticeRow]:
        params = {
            "account_id": account_id,
            "before": NEWEST if before is None else before,
            "limit": limit,
            "kinds": " ".join(kinds),
            "unread": int(unread),
        }
        return [notice_of(row) for row in self.session.all("notices", params)]

    def unread_notices(self, account_id: str) -> int:
        row = self.session.one("unread_notices", {"account_id": account_id})
        return 0 if row is None else int(row[0])

    def read_notice(self, account_id: str, notice_id: str, now: Micros) -> bool:
        params = {"account_id": account_id, "notice_id": notice_id, "now": now}
        return self.session.run("read_notice", params) > 0

    def read_notices(self, account_id: str, now: Micros) -> int:
        return self.session.run("read_notices", {"account_id": account_id, "now": now})

    def is_notice_before(self, before: Micros) -> bool:
        return any(at < before for _, at in self.session.all("old_notices", {"limit": 1}))

    def forget_notices(self, before: Micros, limit: int) -> int:
        old = [key for key, at in self.session.all("old_notices", {"limit": limit}) if at < before]
        for key in old:
            for step in _FORGET_STEPS:
                self.session.run(step, {"notice_key": key})
        return len(old)

    def notice_choices(self, account_id: str) -> dict[NoticeKind, bool]:
        rows = self.session.all("notice_choices", {"account_id": account_id})
        return {NoticeKind(kind): bool(wanted) for kind, wanted in rows}

    def set_notice_choice(self, account_id: str, kind: NoticeKind, wanted: bool) -> None:
        params = {"account_id": account_id, "kind": kind.value, "wanted": int(wanted)}
        self.session.run("set_notice_choice", params)

    def watching_accounts(self) -> list[str]:
        return [row[0] for row in self.session.all("watching_accounts", {})]

    def addressee(self, account_id: str) -> Addressee | None:
        row = self.session.one("addressee", {"account_id": account_id})
        if row is None:
            return None
        account, name, email, confirmed_at, disabled_at = row
        return Addressee(account, name, email, confirmed_at is not None, disabled_at is None)

    def confirm_email(self, account_id: str, email: str, now: Micros) -> bool:
        return self.session.run("confirm_email", {"account_id": account_id, "email": email, "now": now}) > 0

    def add_webhook(self, webhook: WebhookRow) -> bool:
        added = self.session.run(
            "add_webhook",
            {
                "webhook_id": webhook.webhook_id,
                "account_id": webhook.account_id,
                "name": storable(webhook.name),
                "url": webhook.url,
                "secret": webhook.secret,
                "events": " ".join(webhook.events),
                "created_at": webhook.created_at,
            },
        )
        return added > 0

    def webhook(self, webhook_id: str) -> WebhookRow | None:
        row = self.session.one("webhook", {"webhook_id": webhook_id})
        return None if row is None else webhook_of(row)

    def webhooks(self, account_id: str, *, before: int | None = None, limit: int = 1000) -> list[WebhookRow]:
        params = {"account_id": account_id, "before": NEWEST if before is None else before, "limit": limit}
        return [webhook_of(row) for row in self.session.all("webhooks", params)]

    def save_webhook(self, webhook: WebhookRow) -> None:
        self.session.run(
            "save_webhook",
            {
                "webhook_id": webhook.webhook_id,
                "name": storable(webhook.name),
                "url": webhook.url,
                "secret": webhook.secret,
                "events": " ".join(webhook.events),
                "old_secret": webhook.old_secret,
                "old_secret_until": webhook.old_secret_until,
                "disabled_at": webhook.disabled_at,
                "deleted_at": webhook.deleted_at,
            },
        )

    def disable_webhook(self, webhook_id: str, now: Micros) -> None:
        self.session.run("disable_webhook", {"webhook_id": webhook_id, "now": now})


def notice_of(row: Row) -> NoticeRow:
    notice_id, account_id, kind, subject_id, title, body, payload, dedupe, created_at, read_at, key = row
    return NoticeRow(
        notice_id, account_id, NoticeKind(kind), subject_id, title, body, payload, dedupe, created_at, read_at, key
    )


def webhook_of(row: Row) -> WebhookRow:
    webhook_id, account_id, name, url, secret, events, created_at, old_secret, old_until, disabled, deleted, key = row
    return WebhookRow(
        webhook_id=webhook_id,
        account_id=account_id,
        name=name,
        url=url,
        secret=secret,
        events=tuple(NoticeKind(each) for each in events.split()),
        created_at=created_at,
        old_secret=old_secret,
        old_secret_until=old_until,
        disabled_at=disabled,
        deleted_at=deleted,
        webhook_key=key,
    )
