"""Recorded calls, garbled at random from a seed: a value in its bounds comes out, or Unreadable, and nothing else.

FALLOW_FUZZ_EXAMPLES: how many, for a longer run.
"""

import math
import os
import random
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from fallow.protocols.boinc.ai_batch import parse_blocks
from fallow.protocols.boinc.messages import SchedulerRequest
from fallow.protocols.boinc.request import STDERR_CHARS_MAX, parse_request
from fallow.protocols.boinc.xml import Unreadable, parse
from tests.protocols.boinc.recordings import RECORDED, WHOLE_CALLS, call, call_reply

EXAMPLES = int(os.environ.get("FALLOW_FUZZ_EXAMPLES", "400"))
REPLIES = sorted(each.name.split(".")[0] for each in RECORDED.glob("*.call.response"))
SPLICES = [
    *(b"", b"<", b">", b"</", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"&", b"&#0;", b"&#xD800;", b"&amp;"),
    *(b"\x00", b"\xff", b"\xc3\xa9", b"\r\n", b'"', b"nan", b"inf", b"-1", b"1e999", b"9" * 70, b"0x", b"../", b"%s"),
    *(b"<result>", b"</result>", b"<name>", b"</name>", b"<other_results>", b"<stderr_out>", b"</stderr_out>"),
    *(b"<host_info>", b"<coproc_cuda>", b"<hostid>", b"</hostid>", b"</scheduler_request>", b"<scheduler_request>"),
]


def mutated(choose: random.Random, body: bytes) -> bytes:
    """A few pieces cut, doubled, swapped or replaced."""
    out = bytearray(body)
    for _ in range(choose.randint(1, 6)):
        at, size = choose.randint(0, len(out)), choose.choice([0, 1, 1, 2, 8, 64, 1000])
        piece = bytes(out[at : at + size])
        match choose.randint(0, 3):
            case 0:
                out[at : at + size] = choose.choice(SPLICES)
            case 1:
                out[at:at] = piece * choose.randint(1, 5)
            case 2:
                to = choose.randint(0, len(out))
                out[to : to + size] = piece
            case _:
                out[at : at + 1] = bytes([choose.randrange(256)])
    return bytes(out)


def check(value: Any) -> None:
    """Every number is finite and fits a row; every text can be kept by any database, and is not endless."""
    if is_dataclass(value):
        for each in fields(value):
            check(getattr(value, each.name))
    elif isinstance(value, tuple):
        for each in value:
            check(each)
    elif isinstance(value, float):
        assert math.isfinite(value)
        assert 0 <= value <= 1e18
    elif isinstance(value, int):
        assert -(2**31) <= value <= 2**53
    elif isinstance(value, str):
        value.encode()
        assert "\x00" not in value
        assert len(value) <= STDERR_CHARS_MAX
        assert value == value.strip()
    else:
        assert value is None


@pytest.mark.parametrize("name", WHOLE_CALLS)
def test_garbled_calls(name: str) -> None:
    choose, body, read = random.Random(name), call(name), 0
    check(parse_request(body))
    for _ in range(EXAMPLES // 4 if len(body) > 50_000 else EXAMPLES):
        garbled = mutated(choose, body)
        try:
            request = parse_request(garbled)
        except Unreadable:
            continue
        read += 1
        assert isinstance(request, SchedulerRequest)
        check(request)
    assert read > EXAMPLES // 10, "most of a garbled call is still a call"


def test_garbled_trees() -> None:
    choose, read = random.Random(11), 0
    for _ in range(EXAMPLES):
        garbled = mutated(choose, call_reply(choose.choice(REPLIES)))
        try:
            parse(garbled, "scheduler_reply")
        except Unreadable:
            continue
        read += 1
    assert read > EXAMPLES // 10


def test_garbled_chunk_blocks() -> None:
    choose, read = random.Random(5), 0
    block = (
        b"<ai_batch><job_id>j</job_id><input_uri>a</input_uri><output_uri>b</output_uri><container_image>c"
        b'</container_image><chunk_id>7</chunk_id><chunk_range start="1" end="2"/></ai_batch>'
    )
    for _ in range(EXAMPLES):
        try:
            found = parse_blocks(mutated(choose, block * 2).decode("latin-1"))
        except Unreadable:
            continue
        read += 1
        for each in found:
            check(each)
    assert read > EXAMPLES // 10
