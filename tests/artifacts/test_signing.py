"""A signed URL opens what it says, until it expires, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.artifacts.port import Verb
from fallow.artifacts.signing import Grant, Signer
from fallow.core.refusals import Code, Refusal
from fallow.core.words import Micros

SIGNER = Signer(b"s" * 32, "http://door.test/")
NOW = Micros(1_000)

grants = st.builds(
    Grant,
    st.sampled_from(Verb),
    st.text(max_size=40),
    st.integers(NOW + 1, 2**62).map(Micros),
    st.integers(0, 2**62),
    st.none() | st.integers(0, 2**62),
    st.none() | st.integers(0, 2**62),
    st.booleans(),
    st.text(max_size=40),
    st.text(max_size=40),
)


def refusal(token: str, verb: str = "GET", now: Micros = NOW, signer: Signer = SIGNER) -> Code:
    with pytest.raises(Refusal) as refused:
        signer.open(token, now, verb)
    return refused.value.code


@given(grants)
def test_what_was_granted_comes_out(grant: Grant):
    assert SIGNER.open(SIGNER.token(grant), NOW, grant.verb.value) == grant


@given(grants)
def test_it_expires(grant: Grant):
    assert refusal(SIGNER.token(grant), grant.verb.value, grant.expires_at_micros) is Code.URL_EXPIRED


@given(grants, st.data())
def test_any_other_spelling_opens_nothing(grant: Grant, data: st.DataObject):
    token = SIGNER.token(grant)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCabc019-_+/=. \n").filter(lambda c: c != token[at]))
    assert refusal(token[:at] + other + token[at + 1 :], grant.verb.value) is Code.URL_INVALID
    assert refusal(token[:at], grant.verb.value) is Code.URL_INVALID
    assert refusal(token + other, grant.verb.value) is Code.URL_INVALID


@given(st.text(max_size=100))
def test_nonsense_opens_nothing(text: str):
    assert refusal(text) is Code.URL_INVALID


def test_another_secret_opens_nothing_until_it_is_named():
    grant = Grant(Verb.GET, "a", Micros(2_000))
    token = Signer(b"o" * 32, "").token(grant)
    assert refusal(token) is Code.URL_INVALID
    assert Signer(b"s" * 32, "", [b"o" * 32]).open(token, NOW, "GET") == grant


@pytest.mark.parametrize(
    ("verb", "prefix", "allowed"),
    [
        (Verb.GET, False, {"GET", "HEAD"}),
        (Verb.PUT, False, {"PUT", "HEAD"}),
        (Verb.PUT, True, {"PUT", "POST", "GET", "HEAD"}),
    ],
)
def test_each_verb_opens_its_own(verb: Verb, prefix: bool, allowed: set[str]):
    token = SIGNER.token(Grant(verb, "a", Micros(2_000), prefix=prefix))
    for asked in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", ""):
        if asked in allowed:
            SIGNER.open(token, NOW, asked)
        else:
            assert refusal(token, asked) is Code.URL_INVALID


def test_a_url_is_the_door_and_the_token():
    grant = Grant(Verb.GET, "a", Micros(2_000))
    assert SIGNER.url(grant) == f"http://door.test/bytes/{SIGNER.token(grant)}"


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a b", "a\\b/", "%2e%2e"])
def test_a_prefix_takes_one_plain_name(name: str):
    with pytest.raises(Refusal) as refused:
        Grant(Verb.PUT, "jobs/1", Micros(2_000), prefix=True).key_for(name)
    assert refused.value.code is Code.URL_INVALID


def test_a_name_follows_a_prefix_and_nothing_else():
    assert Grant(Verb.PUT, "jobs/1", Micros(2_000), prefix=True).key_for("receipt.json") == "jobs/1/receipt.json"
    assert Grant(Verb.PUT, "jobs/1", Micros(2_000)).key_for("") == "jobs/1"
    with pytest.raises(Refusal):
        Grant(Verb.PUT, "jobs/1", Micros(2_000)).key_for("x")


def test_a_short_secret_is_refused():
    with pytest.raises(Refusal):
        Signer(b"short", "http://door.test")
