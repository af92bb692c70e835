"""Links in letters that work without signing in: to get no more mail, to confirm an address.

A token says what it allows, and is signed; who follows the link needs nothing else, and can do nothing else with it.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fallow.clock import Clock
from fallow.core.notices import CHOICES, NoticeKind
from fallow.core.refusals import Code, Refusal

_TOKEN_MAX: Final = 2000
_CONFIRM_SECONDS: Final = 3 * 86400
_UNSUBSCRIBE, _CONFIRM = "unsubscribe", "confirm"


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    account_id: str
    kinds: tuple[NoticeKind, ...]


@dataclass(frozen=True, slots=True)
class Confirm:
    account_id: str
    email: str


class Links:
    """Makes and reads them. key: a secret of the installation, so that every door reads every door's links."""

    def __init__(self, clock: Clock, base_url: str, key: bytes) -> None:
        self._clock = clock
        self._base_url = base_url
        self._key = key

    def page(self, path: str) -> str:
        """An address of this server."""
        return self._base_url + path

    def unsubscribe(self, account_id: str, kinds: Sequence[NoticeKind]) -> str:
        """An address that ends mail about these kinds. Good for ever: so is the letter."""
        words = sorted({kind.value for kind in kinds})
        return f"{self._base_url}/unsubscribe/{self._signed([_UNSUBSCRIBE, account_id, words])}"

    def confirm(self, account_id: str, email: str) -> str:
        """An address that shows that whoever follows it reads that mail. Good for three days."""
        until = self._clock.now() // 1_000_000 + _CONFIRM_SECONDS
        return f"{self._base_url}/confirm-email/{self._signed([_CONFIRM, account_id, email, until])}"

    def read_unsubscribe(self, token: str) -> Unsubscribe:
        """Raises Refusal URL_INVALID."""
        said = self._said(token)
        if said[:1] != [_UNSUBSCRIBE] or len(said) != 3:
            raise _invalid()
        known = {kind.value for kind in CHOICES}
        return Unsubscribe(str(said[1]), tuple(NoticeKind(each) for each in said[2] if each in known))

    def read_confirm(self, token: str) -> Confirm:
        """Raises Refusal URL_INVALID or URL_EXPIRED."""
        said = self._said(token)
        if said[:1] != [_CONFIRM] or len(said) != 4:
            raise _invalid()
        if said[3] < self._clock.now() // 1_000_000:
            raise Refusal(Code.URL_EXPIRED, "The link is too old.", "Ask for another letter on your account's page.")
        return Confirm(str(said[1]), str(said[2]))

    def _signed(self, said: list[object]) -> str:
        body = _text(json.dumps(said, separators=(",", ":")).encode())
        return f"{body}.{self._mark(body)}"

    def _said(self, token: str) -> list[Any]:
        body, _, mark = token.partition(".")
        if len(token) > _TOKEN_MAX or not token.isascii() or not hmac.compare_digest(mark, self._mark(body)):
            raise _invalid()
        try:
            said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (ValueError, binascii.Error):
            raise _invalid() from None
        return said if isinstance(said, list) else []

    def _mark(self, body: str) -> str:
        return _text(hmac.new(self._key, body.encode(), hashlib.sha256).digest())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _invalid() -> Refusal:
    return Refusal(Code.URL_INVALID, "The link is not one of this server's.", "Copy it whole from the letter.")
