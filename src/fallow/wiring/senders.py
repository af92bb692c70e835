"""What stands behind control's two sending ports: a mail relay by SMTP, and guarded calls of webhooks.

They are here and not in control, which knows no network; and not in a room of their own, since each is one call.
"""

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from fallow.artifacts.guard import Fetcher
from fallow.clock import Clock
from fallow.control.sending import Mail, PostMail, PostWebhook, Sent, Verdict
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings

_ANSWER_BYTES_MAX: Final = 64 * 1024
_PORTS: Final = {"smtps": 465, "smtp": 587, "smtp+plain": 25}
_GONE: Final = 410


def webhook_sender(fetcher: Fetcher, clock: Clock, seconds: float) -> PostWebhook:
    """Calls of webhooks through the same guard that fetches inputs. seconds: for a whole call."""

    def post(url: str, body: bytes, headers: dict[str, str]) -> Sent:
        try:
            answer = fetcher.post(url, body, headers, seconds=seconds, answer_bytes_max=_ANSWER_BYTES_MAX)
        except Refusal as refused:
            never = refused.code is Code.ADDRESS_FORBIDDEN
            return Sent(Verdict.NEVER if never else Verdict.AGAIN, 0, refused.message)
        if 200 <= answer.status < 300:
            return Sent(Verdict.ARRIVED, answer.status)
        verdict = Verdict.GONE if answer.status == _GONE else Verdict.AGAIN
        said = answer.body[:200].decode("utf-8", "replace")
        wait = _seconds_of(answer.headers.get("retry-after", ""), clock)
        return Sent(verdict, answer.status, f"HTTP {answer.status}: {said}".rstrip(": "), wait)

    return post


def _seconds_of(retry_after: str, clock: Clock) -> float | None:
    """RFC 9110, 10.2.3: seconds, or a date."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - clock.now() / 1e6)
    return None


def mail_sender(settings: Settings) -> PostMail | None:
    """Mail through the relay of the settings; None when there is none. Raises Refusal SETTING_INVALID."""
    if not settings.smtp_url:
        return None
    relay = urlsplit(settings.smtp_url)
    try:
        port = relay.port or _PORTS[relay.scheme]
        context = ssl.create_default_context(cafile=settings.smtp_ca or None)
    except (ValueError, OSError) as wrong:
        raise Refusal(
            Code.SETTING_INVALID, f"smtp_url or smtp_ca cannot be used: {wrong}.", "See docs/notices.md."
        ) from None
    if not relay.hostname:
        raise Refusal(Code.SETTING_INVALID, "smtp_url names no host.", "Write smtp://user:password@host:587.")
    host, user, password = relay.hostname, unquote(relay.username or ""), unquote(relay.password or "")

    def post(mail: Mail) -> Sent:
        try:
            with _Connection(relay.scheme, host, port, context, settings.send_seconds) as smtp:
                if user:
                    _sign_in(smtp, user, password)
                return _handed_over(smtp, mail, settings.smtp_from)
        except smtplib.SMTPResponseException as wrong:
            return Sent(Verdict.AGAIN, wrong.smtp_code, _said(wrong.smtp_code, wrong.smtp_error))
        except (smtplib.SMTPException, OSError) as wrong:
            return Sent(Verdict.AGAIN, 0, f"The mail relay cannot be used: {str(wrong) or type(wrong).__name__}")

    return post


def _sign_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
    """Some relays hang up on a wrong password instead of saying so."""
    try:
        smtp.login(user, password)
    except smtplib.SMTPServerDisconnected:
        raise smtplib.SMTPException("it hung up while signing in; is the password right?") from None


def _handed_over(smtp: smtplib.SMTP, mail: Mail, sender: str) -> Sent:
    """What the relay says of this letter. An address that it does not know will not be known later either."""
    try:
        smtp.sendmail(sender, [mail.to], mail.data)
    except smtplib.SMTPRecipientsRefused as refused:
        code, words = refused.recipients[mail.to]
        return Sent(Verdict.NEVER if code >= 500 else Verdict.AGAIN, code, _said(code, words))
    except smtplib.SMTPDataError as refused:
        verdict = Verdict.NEVER if refused.smtp_code >= 500 else Verdict.AGAIN
        return Sent(verdict, refused.smtp_code, _said(refused.smtp_code, refused.smtp_error))
    return Sent(Verdict.ARRIVED, 250)


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return f"SMTP {code}: {' '.join(text.split())}"


class _Connection:
    """A connection to the relay, encrypted and verified unless its scheme says plain; ended when its time is up."""

    def __init__(self, scheme: str, host: str, port: int, context: ssl.SSLContext, seconds: float) -> None:
        self._scheme = scheme
        self._place = (host, port)
        self._context = context
        self._seconds = seconds
        self._smtp: smtplib.SMTP | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> smtplib.SMTP:
        self._timer.start()
        try:
            if self._scheme == "smtps":
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(*self._place, timeout=self._seconds, context=self._context)
            else:
                smtp = smtplib.SMTP(*self._place, timeout=self._seconds)
            self._smtp = smtp
            if self._scheme == "smtp":
                smtp.starttls(context=self._context)
            return smtp
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        """Without waiting for a good-bye: whether the letter is taken has been said by now."""
        self._timer.cancel()
        if self._smtp is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._smtp.putcmd("quit")
            self._smtp.close()

    def _cut(self) -> None:
        held = self._smtp.sock if self._smtp is not None else None
        if held is not None:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
