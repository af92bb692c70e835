"""Every refusal has its form on the wire."""

import json

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.protocols.rest.refusals import STATUS, error_body, headers_of, refusal_body, status_of


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_status(code):
    assert code in STATUS, f"say which HTTP status {code} is"
    assert 400 <= status_of(code) < 600
    assert status_of(code) != 500, "a refusal is never our mistake"


@pytest.mark.parametrize("code", list(Code))
def test_every_refusal_has_the_same_form(code):
    body = json.loads(refusal_body(Refusal(code, "It is so.", "Do this.", {"offset": 3})))
    assert body == {"error": {"code": code, "message": "It is so.", "remedy": "Do this.", "details": {"offset": 3}}}


def test_a_message_may_quote_half_a_surrogate_pair():
    assert json.loads(error_body("bad_request", "\ud800 is odd."))["error"]["message"] == "\ud800 is odd."


def test_headers_that_http_wants():
    assert "Bearer" in headers_of(Refusal(Code.UNAUTHENTICATED, "No."))["www-authenticate"]
    unsatisfiable = Refusal(Code.RANGE_NOT_SATISFIABLE, "No.", details={"size_bytes": 7})
    assert headers_of(unsatisfiable) == {"content-range": "bytes */7"}
    assert headers_of(Refusal(Code.OFFSET_CONFLICT, "No.", details={"offset": 5})) == {"upload-offset": "5"}
    assert headers_of(Refusal(Code.NOT_FOUND, "No.")) == {}
