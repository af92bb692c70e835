"""Letters: notices as e-mail, in plain text and in HTML."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from fallow.control.links import Links
from fallow.control.sending import Mail
from fallow.control.texts import one_line
from fallow.core.notices import NoticeKind, choice_of
from fallow.core.words import Micros
from fallow.store.port import Addressee, NoticeRow

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}\Z")
_SUBJECT_MAX: Final = 150
_PAGES: Final = {
    "job": ("/job?job_id=", "See the job"),
    "batch": ("/job?job_id=", "See the batch"),
    "worker": ("/worker?worker_id=", "See the worker"),
}


def is_address(text: str) -> bool:
    """Whether mail may be sent there: one plain address, nothing that could end a header or name a second one."""
    return bool(_ADDRESS.match(text))


def letter(
    name: str, to: Addressee, notices: Sequence[NoticeRow], links: Links, sender: str, now: Micros
) -> Mail | None:
    """One message for all of these notices, newest last. name: of the letter, which is its Message-ID: the same each
    time it is tried, so that a mailbox that has it already keeps one. None: the address is none."""
    if not to.email or not is_address(to.email):
        return None
    asked = [each for each in notices if each.kind is NoticeKind.ACCOUNT_CONFIRM_EMAIL]
    kinds = sorted({choice_of(each.kind) for each in notices if each not in asked})
    unsubscribe = links.unsubscribe(to.account_id, kinds) if kinds else ""
    subject = _subject(notices)
    words = {
        "subject": subject,
        "notices": [_shown(each, to, links) for each in notices],
        "home_url": links.page("/"),
        "choices_url": links.page("/notices"),
        "unsubscribe_url": unsubscribe,
        "name": one_line(to.name, 80),
    }
    message = EmailMessage(policy=SMTP)
    message["From"] = f"fallow <{sender}>"
    message["To"] = to.email
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(now / 1e6, UTC))
    message["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday message answers it
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
    message.set_content(_templates().get_template("digest.txt").render(words))
    message.add_alternative(_templates().get_template("digest.html").render(words), subtype="html")
    return Mail(to.email, message.as_bytes())


def _subject(notices: Sequence[NoticeRow]) -> str:
    first = one_line(notices[-1].title, _SUBJECT_MAX)
    return first if len(notices) == 1 else f"{first} (and {len(notices) - 1} more)"


def _shown(notice: NoticeRow, to: Addressee, links: Links) -> dict[str, str]:
    path, text = _PAGES.get(notice.kind.partition(".")[0], ("", ""))
    url = links.page(path + notice.subject_id) if path else ""
    body = notice.body
    if notice.kind is NoticeKind.ACCOUNT_CONFIRM_EMAIL:
        url, text = links.confirm(to.account_id, to.email or ""), "Yes, this address is mine"
        body = "Somebody, probably you, gave this address to fallow. If it was not you, do nothing: no more will come."
    at = datetime.fromtimestamp(notice.created_at / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"title": notice.title, "body": body, "at": at, "url": url, "url_text": text}


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("fallow.control", "letters"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
