"""Webhooks: where an account wants its notices sent, signed so that the receiver knows that they are ours.

Signed as in Standard Webhooks, which OpenAI's are: its package's `client.webhooks.unwrap(body, headers)` reads ours.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fallow.clock import Clock
from fallow.control.callers import Caller
from fallow.control.sending import PostWebhook, Sent
from fallow.control.texts import one_line
from fallow.core.notices import EVENTS, NoticeKind
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros
from fallow.store.port import Store, WebhookRow

WEBHOOKS_MAX: Final = 100  # of one account
KEPT_SECONDS: Final = 24 * 3600  # an old secret signs too for so long
_TESTS_AT_ONCE: Final = 4  # each may hold a thread of the door as long as its receiver likes
_URL_MAX: Final = 2000
_NAME_MAX: Final = 200
_PREFIX: Final = "whsec_"


class Webhooks:
    """The verbs of an account on its own webhooks; other people's are not there, for operators neither: a secret that
    others can read signs nothing. allow_plain: http: and any address, for a network of one's own."""

    def __init__(self, store: Store, clock: Clock, post: PostWebhook, *, allow_plain: bool) -> None:
        self._store = store
        self._clock = clock
        self._post = post
        self._allow_plain = allow_plain
        self._tests = threading.BoundedSemaphore(_TESTS_AT_ONCE)

    def add(
        self, caller: Caller, name: str, url: str, events: Sequence[str] = (), webhook_id: str | None = None
    ) -> WebhookRow:
        """events: kinds of notices; none: all. Its secret is for showing once. webhook_id: a new_id(), by which a form
        that is sent twice adds one. Raises Refusal BAD_REQUEST, or ALREADY_EXISTS."""
        account_id = account_of(caller)
        row = WebhookRow(
            webhook_id=webhook_id or new_id(),
            account_id=account_id,
            name=_checked_name(name),
            url=self._checked_url(url),
            secret=new_secret(),
            events=_checked_events(events) if events else EVENTS,
            created_at=self._clock.now(),
        )
        with self._store.transaction() as tx:
            if len(tx.webhooks(account_id, limit=WEBHOOKS_MAX)) >= WEBHOOKS_MAX:
                raise Refusal(
                    Code.STATE_CONFLICT,
                    f"The account has {WEBHOOKS_MAX} webhooks already.",
                    "Remove one that is not used.",
                )
            if not tx.add_webhook(row):
                raise Refusal(Code.ALREADY_EXISTS, "The webhook was added already.", "See the list.")
        return row

    def listed(self, caller: Caller, after: str | None, limit: int) -> tuple[list[WebhookRow], bool]:
        """Newest first, and whether there are more. after: the last of the page before. Raises Refusal NOT_FOUND."""
        account_id = account_of(caller)
        before = self.one(caller, after).webhook_key if after else None
        with self._store.reading() as tx:
            rows = tx.webhooks(account_id, before=before, limit=limit + 1)
        return rows[:limit], len(rows) > limit

    def one(self, caller: Caller, webhook_id: str) -> WebhookRow:
        """Raises Refusal NOT_FOUND, also for other people's."""
        account_id = account_of(caller)
        with self._store.reading() as tx:
            row = tx.webhook(webhook_id)
        if row is None or row.account_id != account_id:
            raise Refusal(Code.NOT_FOUND, f"There is no webhook {webhook_id[:80]!r}.", "See fallow webhook list.")
        return row

    def change(
        self,
        caller: Caller,
        webhook_id: str,
        name: str | None = None,
        url: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> WebhookRow:
        """What is None stays. Raises Refusal NOT_FOUND or BAD_REQUEST."""
        row = self.one(caller, webhook_id)
        if name is not None:
            row = replace(row, name=_checked_name(name))
        if url is not None:
            row = replace(row, url=self._checked_url(url))
        if events is not None:
            row = replace(row, events=_checked_events(events))
        if enabled is not None:
            row = replace(row, disabled_at=None if enabled else (row.disabled_at or self._clock.now()))
        return self._saved(row)

    def remove(self, caller: Caller, webhook_id: str) -> None:
        """What is on its way to it is dropped. Raises Refusal NOT_FOUND."""
        row = self.one(caller, webhook_id)
        gone = replace(row, deleted_at=self._clock.now(), secret=new_secret(), old_secret=None, old_secret_until=None)
        self._saved(gone)

    def rotate(self, caller: Caller, webhook_id: str, *, keep_old: bool) -> WebhookRow:
        """A new secret. keep_old: the old one signs too for a day, so that the receiver can be changed in peace."""
        row = self.one(caller, webhook_id)
        until = Micros(self._clock.now() + KEPT_SECONDS * 1_000_000)
        return self._saved(
            replace(
                row,
                secret=new_secret(),
                old_secret=row.secret if keep_old else None,
                old_secret_until=until if keep_old else None,
            )
        )

    def test(self, caller: Caller, webhook_id: str, kind: str) -> Sent:
        """Sends a sample at once and says what the receiver answered. Nothing is kept of it. Raises Refusal
        TOO_MANY."""
        row = self.one(caller, webhook_id)
        (event,) = _checked_events([kind])
        now = self._clock.now()
        event_id = "evt_" + secrets.token_hex(12)
        subject = "batch_example" if event.startswith("batch.") else "example"
        body = event_body(event_id, event, now, {"id": subject}).encode()
        if not self._tests.acquire(blocking=False):
            raise Refusal(
                Code.TOO_MANY, "Other webhooks are being tested.", "Try again in a moment.", {"retry_seconds": 2}
            )
        try:
            return self._post(row.url, body, signed_headers(row, event_id, body, now))
        finally:
            self._tests.release()

    def _saved(self, row: WebhookRow) -> WebhookRow:
        with self._store.transaction() as tx:
            tx.save_webhook(row)
        return row

    def _checked_url(self, url: str) -> str:
        schemes = ("https://", "http://") if self._allow_plain else ("https://",)
        scheme = next((each for each in schemes if url.lower().startswith(each)), None)
        if scheme is None or len(url) > _URL_MAX or not url.isascii() or not url.isprintable() or " " in url:
            raise Refusal(
                Code.BAD_REQUEST,
                f"The url must be of the form {' or '.join(schemes)}host/path, of {_URL_MAX} ASCII characters at most.",
                "Give the receiver's address; http: and private addresses need allow_private_addresses.",
                {"field": "url"},
            )
        authority = url[len(scheme) :].partition("/")[0].partition("?")[0].partition("#")[0]
        if not authority or "@" in authority or "\\" in url:
            raise Refusal(
                Code.BAD_REQUEST,
                "The url names no host, or carries a password.",
                "The signature shows who sends; leave out what is before the @.",
                {"field": "url"},
            )
        return url


def new_id() -> str:
    """Of a webhook."""
    return "wh_" + secrets.token_hex(12)


def new_secret() -> str:
    """ "whsec_" and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_hint(secret: str) -> str:
    """Enough to tell two secrets apart, and no more."""
    return f"{_PREFIX}…{secret[-4:]}"


def event_body(event_id: str, kind: NoticeKind, at: Micros, data: dict[str, object]) -> str:
    """The JSON of an event, as OpenAI's: created_at in whole seconds."""
    event = {"object": "event", "id": event_id, "type": kind.value, "created_at": at // 1_000_000, "data": data}
    return json.dumps(event, ensure_ascii=True, separators=(",", ":"))


def signed_headers(webhook: WebhookRow, event_id: str, body: bytes, now: Micros) -> dict[str, str]:
    """The headers of one try: the same event id each time, the moment of this try, a signature for each good secret."""
    seconds = now // 1_000_000
    signatures = [signature(webhook.secret, event_id, seconds, body)]
    if webhook.old_secret and webhook.old_secret_until and webhook.old_secret_until > now:
        signatures.append(signature(webhook.old_secret, event_id, seconds, body))
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(signatures),
    }


def signature(secret: str, event_id: str, seconds: int, body: bytes) -> str:
    """ "v1," and the HMAC-SHA256 of "id.timestamp.body" in base64. Source: Standard Webhooks, "Signature scheme"."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = hmac.new(key, b"%s.%d.%s" % (event_id.encode(), seconds, body), hashlib.sha256)
    return "v1," + base64.b64encode(signed.digest()).decode()


def account_of(caller: Caller) -> str:
    """Whose notices and webhooks they may see: their own. A key that a worker carries opens neither, for it lies on
    other people's machines. Raises Refusal UNAUTHENTICATED or FORBIDDEN."""
    if not caller.account_id:
        raise Refusal(Code.UNAUTHENTICATED, "Nobody is signed in.", "Pass an API key, or sign in.")
    caller.needs_owner()
    return caller.account_id


def _checked_name(name: str) -> str:
    name = one_line(name).strip()
    if not 0 < len(name) <= _NAME_MAX:
        raise Refusal(
            Code.BAD_REQUEST, f"The name must have 1 to {_NAME_MAX} characters.", "Choose another.", {"field": "name"}
        )
    return name


def _checked_events(events: Sequence[str]) -> tuple[NoticeKind, ...]:
    known = {kind.value for kind in EVENTS}
    wrong = [each for each in events if each not in known]
    if wrong or not events:
        problem = f"There is no event {wrong[0][:60]!r}." if wrong else "A webhook without an event gets nothing."
        raise Refusal(Code.BAD_REQUEST, problem, f"There are {', '.join(sorted(known))}.", {"field": "event_types"})
    return tuple(dict.fromkeys(NoticeKind(each) for each in events))
