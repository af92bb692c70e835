"""Names, addresses, passwords and applications: what may be, and what is refused."""

import pytest

from fallow.core.application import application_of
from fallow.core.people import (
    Role,
    account_id_from,
    checked_account_id,
    checked_email,
    checked_name,
    checked_password,
    one_line,
    roles_of,
)
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Scope


@pytest.mark.parametrize(
    ("image", "model", "application"),
    [
        ("ghcr.io/org/model:1.2", "", "ghcr.io/org/model"),
        ("ghcr.io/org/model@sha256:" + "0" * 64, "", "ghcr.io/org/model"),
        ("ghcr.io/org/model:1@sha256:" + "0" * 64, "", "ghcr.io/org/model"),
        ("localhost:5000/model:1", "", "localhost:5000/model"),
        ("localhost:5000/model", "", "localhost:5000/model"),
        ("model", "", "model"),
        ("oci:/srv/images/embed", "", "embed"),
        ("oci:/srv/images/embed/", "", "embed"),
        ("oci:", "", "process"),
        (None, "", "process"),
        ("", "", "process"),
        ("ghcr.io/org/model:1", "embed-small", "embed-small"),
        (None, "embed-small", "embed-small"),
    ],
)
def test_an_application_is_a_model_or_an_image_without_tag(image: str | None, model: str, application: str) -> None:
    assert application_of(image, model) == application


@pytest.mark.parametrize("name", ["Ada Lovelace", "Łukasz", "李", "O'Brien-Smith, Jr."])
def test_a_name_may_be_any_that_people_have(name: str) -> None:
    assert checked_name(f" {name} ") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "a\nb", "a\r\nBcc: x@y.example", "a\0", "a\u2028b", "a\u202eb", "x" * 201, "\x1b[31mred", "a\ud800"],
)
def test_a_name_ends_no_line_and_hides_nothing(name: str) -> None:
    refused(checked_name, name)


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("a.b+c@sub.example.org", "a.b+c@sub.example.org"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_addresses_are_compared_in_lower_case(text: str, email: str) -> None:
    assert checked_email(text) == email


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "a@b@c",
        "a b@c.example",
        "a@b\n",
        "a@b\r\nBcc: c@d",
        "a@b,c@d",
        '"a"@b',
        "a@b>",
        "<a@b>",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a@-b",
        "a@b-",
        "a@b..c",
        "a@b.-c",
        "\u00e4@example.org",
        "a\u00a0@example.org",
        "x" * 65 + "@example.org",
        "a@" + "x" * 260,
        "a@b\0",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    refused(checked_email, email)


def test_account_ids_are_made_of_names() -> None:
    assert account_id_from("Ada Lovelace") == "ada-lovelace"
    assert account_id_from("Zoë  Ångström!") == "zoe-angstrom"
    assert account_id_from("李") == "account"
    for name in ("Ada", "x" * 200, "-- --", "a/../b", "A" * 39 + " b"):
        assert checked_account_id(account_id_from(name))
    for wrong in ("", "A", "a b", "../a", "a..b", "-a", "x" * 65, "a\n"):
        refused(checked_account_id, wrong)


def test_passwords_are_long_and_not_the_name() -> None:
    assert checked_password("correct horse battery") == "correct horse battery"
    assert checked_password("ﬁfteen letters") == "fifteen letters", "the same from every keyboard"
    for weak in ("short", "aaaaaaaaaaaaaaaa", "ada@example.org", "ADA LOVELACE THE FIRST", "x" * 1025):
        refused(lambda text: checked_password(text, "ada@example.org", "Ada Lovelace the First", None), weak)


def test_roles_are_scopes_by_another_name() -> None:
    assert {role.scope for role in Role} == set(Scope)
    assert roles_of(frozenset({Scope.WORK, Scope.SUBMIT})) == (Role.SUBMITTER, Role.WORKER_OWNER)


def test_foreign_text_fits_on_a_line() -> None:
    assert one_line("a\r\nb\x1b[0m" + "c" * 99, 10) == "a  b [0mcc"


def refused(check: object, text: str) -> None:
    assert callable(check)
    with pytest.raises(Refusal) as caught:
        check(text)
    assert caught.value.code is Code.BAD_REQUEST
    assert len(text) < 3 or text not in caught.value.message
