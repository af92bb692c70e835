"""A desk for notices: real rows, a clock that the test moves, senders that the test hears."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from fallow.clock import ManualClock
from fallow.control.callers import Caller
from fallow.control.deliveries import Courier
from fallow.control.links import Links
from fallow.control.notices import Notices, Told, tell
from fallow.control.notifier import Notifier
from fallow.control.sending import Mail, Sent, Verdict
from fallow.control.webhooks import Webhooks
from fallow.core.notices import DeliveryState, NoticeKind
from fallow.core.words import Micros, Scope, WorkerId
from fallow.settings import Settings
from fallow.store.port import WorkerRow
from fallow.store.sqlite import SqliteStore
from tests.store.yard import Yard

ACME = Caller("k-1", "acme", frozenset({Scope.SUBMIT}))
CAPABILITY = '{"cores": 8, "memory_bytes": 99999999999, "engines": ["process"], "platform": "linux/amd64"}'


class Desk:
    """A store with an account that has an address, and everything that tells it things."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.settings = Settings(
            data_dir=folder,
            smtp_url="smtp://relay",
            smtp_from="fallow@farm.example",
            disk_low_bytes=1000,
            attention_seconds=600,
            worker_silent_seconds=600,
        )
        self.store = SqliteStore(folder / "rows.db")
        self.store.migrate()
        self.yard = Yard(self.store)
        self.room = 5000
        self.links = Links(self.clock, "https://farm.example", b"k" * 32)
        self.notifier = self.another_notifier()
        self.mails: list[Mail] = []
        self.calls: list[tuple[str, bytes, dict[str, str]]] = []
        self.answers: list[Sent] = []
        self.courier = Courier(
            self.store, self.clock, self.settings, self.links, self._mail, self._call, chance=lambda: 0.5
        )
        self.notices = Notices(self.store, self.clock, self.settings, lambda: None)
        self.webhooks = Webhooks(self.store, self.clock, self._call, allow_plain=False)
        with self.store.transaction() as tx:
            tx.add_account("operators", "operators", self.clock.now())

    def another_notifier(self) -> Notifier:
        return Notifier(self.store, self.clock, self.settings, "farm", lambda: self.room)

    def _mail(self, mail: Mail) -> Sent:
        self.mails.append(mail)
        return self.answers.pop(0) if self.answers else Sent(Verdict.ARRIVED, 250)

    def _call(self, url: str, body: bytes, headers: dict[str, str]) -> Sent:
        self.calls.append((url, body, headers))
        return self.answers.pop(0) if self.answers else Sent(Verdict.ARRIVED, 200)

    def address(self, email: str = "ada@farm.example", *, confirmed: bool = True) -> None:
        connection = self.store._writer
        connection.execute(
            "UPDATE account SET email = ?, email_confirmed_at = ? WHERE account_id = 'acme'",
            (email, 1 if confirmed else None),
        )

    def tell(self, number: int = 0, kind: NoticeKind = NoticeKind.JOB_COMPLETED, title: str = "Done") -> None:
        with self.store.transaction() as tx:
            told = Told("acme", kind, f"job-{number}", title, "All of it.", f"d-{number}")
            assert tell(tx, told, self.clock.now(), self.settings)

    def titles(self, account: str = "acme") -> list[str]:
        with self.store.reading() as tx:
            return [each.title for each in tx.notices(account, before=None, limit=99)]

    def states(self) -> list[DeliveryState]:
        with self.store.reading() as tx:
            return [each.delivery.state for each in tx.deliveries("acme", before=None, limit=99)]

    def letters(self) -> list[EmailMessage]:
        parsed: list[Any] = [message_from_bytes(each.data, policy=policy.default) for each in self.mails]
        return parsed

    def drain(self) -> None:
        while self.courier.send_mail() or self.courier.call_webhook():
            pass

    def worker(self, worker_id: str, *, seen: Micros, leaving: bool = False, account: str = "acme") -> None:
        row = WorkerRow(
            WorkerId(worker_id), account, worker_id, "edge", b"\0" * 32, CAPABILITY, "s", seen, seen, leaving=leaving
        )
        with self.store.transaction() as tx:
            tx.save_worker(row)
