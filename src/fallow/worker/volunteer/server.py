"""The program's calls to its server: which attempts are still wanted, and where an image's parts are."""

import http.client
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from fallow.worker.assignment import Assignment
from fallow.worker.faults import Fault, ours
from fallow.worker.images import Layout, LayoutUnavailable
from fallow.worker.transfer import SILENCE_SECONDS, Wait
from fallow.worker.volunteer.endings import Impossible, Left
from fallow.worker.volunteer.ticket import Ticket, Unreadable, parse_layout, parse_leases

TRIES = 3
TRANSFER_TRIES_MAX = 4  # without progress; then the client waits instead of this program
REPLY_BYTES_MAX = 64 << 20
FRESH_SECONDS = 600.0  # signed URLs are asked for anew after so long


class Unreachable(Exception):
    """The server does not answer now, or says that it cannot. The message is one sentence without its full stop."""


class Server:
    """Used by the one thread that works."""

    def __init__(self, ticket: Ticket, wait: Wait) -> None:
        self._ticket = ticket
        self._wait = wait
        self._leases: tuple[Assignment, ...] = ()
        self._asked = float("-inf")

    @property
    def base_url(self) -> str:
        """Where relative addresses begin."""
        return self._ticket.image_url

    def leases(self, fresh: bool = False) -> tuple[Assignment, ...]:
        """The attempts that are still wanted, with URLs that work; empty when the task is over.

        fresh: ask even when the last answer is young. Raises Unreachable, Unreadable, Impossible, Left.
        """
        if fresh or time.monotonic() - self._asked > FRESH_SECONDS:
            status, body = self._get(self._ticket.lease_url)
            if status == 410:
                self._leases = ()
            elif status == 200:
                self._leases = parse_leases(body)
            else:
                raise Impossible(_refused(status))
            self._asked = time.monotonic()
        return self._leases

    def layout(self, digest: str) -> Layout:
        """Of the job's image. Raises LayoutUnavailable, Unreachable, Unreadable, Left."""
        status, body = self._get(self._ticket.image_url)
        if status != 200:
            raise LayoutUnavailable("The server does not have it any more.")
        layout = parse_layout(body)
        if layout.digest != digest:
            raise LayoutUnavailable("The server names another image.")
        return layout

    def _get(self, url: str) -> tuple[int, bytes]:
        """(status, body). Raises Unreachable after a few tries, Unreadable, Left."""
        _check(url)
        said = ""
        for attempt in range(TRIES):
            if attempt and self._wait(float(2**attempt)):
                raise Left
            try:
                with urllib.request.urlopen(url, timeout=SILENCE_SECONDS) as response:  # noqa: S310 - checked above
                    return response.status, response.read(REPLY_BYTES_MAX)
            except urllib.error.HTTPError as wrong:
                if wrong.code < 500 and wrong.code not in {408, 429}:
                    return wrong.code, b""
                said = f"it answers {wrong.code}"
            except urllib.error.URLError as wrong:
                said = str(getattr(wrong.reason, "strerror", None) or wrong.reason)
            except (OSError, http.client.HTTPException) as wrong:
                said = type(wrong).__name__
        raise Unreachable(f"the server {urlsplit(url).netloc} cannot be reached ({said})")


def _check(url: str) -> None:
    """Raises Unreadable for what urllib would open in its own ways, or trip over."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or any(character <= " " for character in url):
        raise Unreadable("The ticket names an address that is not http or https.")


def _refused(status: int) -> Fault:
    if status == 403:
        return ours("url_invalid", "The server does not take this task's token.")
    return ours("lease_refused", f"The server answered {status} to this task's call.")
