"""What may name a person: account ids, names, e-mail addresses, passwords. Every mistake is a Refusal BAD_REQUEST.

Names and addresses end up in headers of e-mails and in logs: nothing that could end a line gets in.
"""

import re
import unicodedata
from enum import StrEnum
from typing import Final

from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope

NAME_MAX: Final = 200
EMAIL_MAX: Final = 254  # RFC 5321, 4.5.3.1.3, less the angle brackets
PASSWORD_MIN, PASSWORD_MAX = 12, 1024  # characters; NIST SP 800-63B-4, 3.1.1.2, between its 8 and its 15
_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_EMAIL: Final = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\Z"
)  # HTML's, in effect


class Role(StrEnum):
    """What people call a scope."""

    SUBMITTER = "submitter"
    OPERATOR = "operator"
    WORKER_OWNER = "worker-owner"

    @property
    def scope(self) -> Scope:
        """What the role may do."""
        return _SCOPES[self]


_SCOPES: Final = {
    Role.SUBMITTER: Scope.SUBMIT,
    Role.OPERATOR: Scope.OPERATE,
    Role.WORKER_OWNER: Scope.WORK,
}


def roles_of(scopes: frozenset[Scope]) -> tuple[Role, ...]:
    """The roles whose scopes these are."""
    return tuple(role for role in Role if role.scope in scopes)


def checked_name(text: str) -> str:
    """A person's name: one line of printable characters. Raises Refusal BAD_REQUEST."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > NAME_MAX or not name.isprintable():
        raise _wrong("name", f"A name has 1 to {NAME_MAX} characters, all printable, on one line.")
    return name


def checked_email(text: str) -> str:
    """An address that mail can be sent to, lower case. Raises Refusal BAD_REQUEST."""
    email = text.lower()
    local, _, domain = email.partition("@")
    dots = local.startswith(".") or local.endswith(".") or ".." in email or ".-" in domain or "-." in domain
    if len(email) > EMAIL_MAX or not _EMAIL.match(email) or dots:
        raise _wrong("email", "That is no e-mail address.")
    return email


def checked_account_id(text: str) -> str:
    """Raises Refusal BAD_REQUEST."""
    if not _ID.match(text) or ".." in text:
        raise _wrong(
            "account_id", "An account's id has up to 64 of a-z, 0-9 and . _ -, and begins with a letter or digit."
        )
    return text


def account_id_from(name: str) -> str:
    """An id that reminds of the name: "Ada Lovelace" is "ada-lovelace"; "account" where nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "account"


def checked_password(text: str, *others: str | None) -> str:
    """A password as it is hashed: NFKC, so that it is the same from every keyboard. others: what it must not be.

    Raises Refusal BAD_REQUEST, which does not repeat it.
    """
    password = normal_password(text)
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise _wrong("password", f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters.")
    known = {other.casefold() for other in others if other}
    if password.casefold() in known or len(set(password)) < 4:
        raise _wrong("password", "That password is too easy to guess.")
    return password


def normal_password(text: str) -> str:
    """As it is compared."""
    return unicodedata.normalize("NFKC", text)


def team_key(name: str) -> str:
    """A team's name as it is compared: capitals, widths and runs of spaces make no difference."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def one_line(text: str, length_max: int) -> str:
    """Foreign text for one line: without control characters, cut."""
    return "".join(char if char.isprintable() else " " for char in text[:length_max])


def _wrong(field: str, sentence: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, sentence, "Correct it and send it again.", {"field": field})
