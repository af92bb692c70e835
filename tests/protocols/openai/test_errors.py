"""Refusals in OpenAI's form: every code has a status, and the four members are always there."""

import json

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.protocols.openai.errors import headers_of, refusal_body, status_of

EXPECTED = {
    Code.BAD_REQUEST: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.STATE_CONFLICT: 409,
    Code.TOO_LARGE: 413,
    Code.RANGE_NOT_SATISFIABLE: 416,
    Code.IMAGE_UNKNOWN: 422,
    Code.TOO_MANY: 429,
    Code.STORAGE_UNREACHABLE: 503,
    Code.STORAGE_FULL: 507,
}


@pytest.mark.parametrize("code", Code)
def test_the_body_has_its_four_members(code: Code) -> None:
    error = json.loads(refusal_body(Refusal(code, "No.", "Do it so.", {"field": "a.b"})))["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert (error["message"], error["param"]) == ("No. Do it so.", "a.b")
    assert status_of(code) == EXPECTED.get(code, status_of(code))
    assert error["type"].endswith("_error")


def test_a_conflict_is_not_to_be_tried_again_and_a_full_house_is() -> None:
    assert headers_of(Refusal(Code.STATE_CONFLICT, "No."))["x-should-retry"] == "false"
    assert headers_of(Refusal(Code.TOO_MANY, "No.", details={"retry_seconds": 7}))["retry-after"] == "7"
    assert "x-should-retry" not in headers_of(Refusal(Code.TOO_MANY, "No."))


def test_half_a_surrogate_pair_in_a_message_is_no_obstacle() -> None:
    assert json.loads(refusal_body(Refusal(Code.BAD_REQUEST, "\ud800")))["error"]["message"] == "\ud800"
