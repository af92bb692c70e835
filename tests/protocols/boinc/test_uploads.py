"""The data server's protocol: recorded requests and replies, byte for byte; cut anywhere; garbled."""

import random

import pytest

from fallow.protocols.boinc.uploads import HEAD_BYTES_MAX, SizeQuery, Upload, parse_upload_head, reply
from fallow.protocols.boinc.xml import Scanner, Unreadable
from tests.protocols.boinc.recordings import UPLOADS, upload, upload_reply

DIGITS = b"0123456789"
READ = {
    "a_016": ("s1_1_0_r17191608_0", 20, 0, 5_000_000),
    "a_049": ("u1_3_0_r163434933_0", 20, 0, 5_000_000),
    "a_169": ("cfB_1_0_r1672220571_0", 21, 0, 5_000_000),  # with an upload certificate
    "a_173": ("cfC_1_0_r1740079006_0", 21, 0, 5_000_000),
    "b_009": ("ret1_1_0_r1885059756_0", 22, 0, 5_000_000),
    "c_001": ("part2_0", 10, 0, 100),
    "c_003": ("part2_0", 10, 5, 100),
    "c_004": ("toolarge2_0", 10, 0, 5),
    "c_005": ("../evil_0", 10, 0, 100),
    "c_006": ("badmd52_0", 10, 0, 100),
    "c_007": ("gap2_0", 10, 5, 100),
}
DATA = {"c_001": b"01234", "c_003": b"56789", "c_007": b"56789"}
SAID = {
    # what the recorded server said: status, message, size
    **dict.fromkeys(["a_016", "a_049", "a_169", "c_003", "c_004", "c_006"], (0, "", None)),
    "a_173": (-1, "missing signature", None),
    "c_000": (0, "", 0),
    "c_002": (0, "", 5),
    "c_001": (1, "EOF on socket read : asked for 10, got 5\n", None),
    "c_005": (-1, "file_upload_handler: invalid filename: ../evil_0", None),
    "c_008": (1, "no command", None),
}


@pytest.mark.parametrize("name", sorted(READ))
def test_a_recorded_upload_is_read(name: str) -> None:
    body, (file, size, offset, size_max) = upload(name), READ[name]
    found = parse_upload_head(body)
    assert isinstance(found, Upload)
    assert (found.name, found.size_bytes, found.offset, found.size_bytes_max) == (file, size, offset, size_max)
    assert found.md5.encode() in body
    assert len(found.md5) == 32
    data = body[found.data_start :]
    assert data == DATA.get(name, data)
    assert len(data) == (5 if name in DATA else size)


@pytest.mark.parametrize("name", ["c_000", "c_002"])
def test_a_recorded_question_is_read(name: str) -> None:
    assert parse_upload_head(upload(name)) == SizeQuery("part2_0")


def test_every_recording_is_looked_at() -> None:
    assert {*READ, "c_000", "c_002", "c_008"} == set(UPLOADS)


@pytest.mark.parametrize("name", sorted(SAID))
def test_replies_are_those_of_the_recorded_server_byte_for_byte(name: str) -> None:
    assert reply(*SAID[name]) == upload_reply(name)


def test_a_reply_escapes_what_it_quotes() -> None:
    """Where the recorded server does not: see c_007, with its bare "<"."""
    said = reply(1, "length of file gap2_0 0 bytes < offset 5 bytes")
    assert said == upload_reply("c_007").replace(b" < ", b" &lt; ")


def test_a_reply_is_never_longer_than_a_client_reads() -> None:
    for text in ("<" * 10_000, "\U0001f600" * 10_000, "&" * 10_000):
        said = reply(-1, text)
        assert len(said) < 4096
        Scanner(said).root("data_server_reply")


@pytest.mark.parametrize("name", UPLOADS)
def test_a_request_cut_anywhere_is_refused_or_says_no_more_than_it_did(name: str) -> None:
    body = upload(name)
    try:
        whole = parse_upload_head(body)
    except Unreadable:
        whole = None
    for end in range(len(body.rstrip())):
        try:
            found = parse_upload_head(body[:end])
        except Unreadable:
            assert whole is None or isinstance(whole, SizeQuery) or end < whole.data_start
        else:
            assert found == whole
            assert isinstance(found, Upload)
            assert end >= found.data_start


def made(inner: str) -> SizeQuery | Upload:
    return parse_upload_head(
        f"<data_server_request><file_upload>{inner}</file_upload>".replace("</file_upload>", "<data>\n").encode()
    )


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<nbytes>1</nbytes><offset>0</offset>",
        "<file_info></file_info><nbytes>1</nbytes><offset>0</offset>",
        "<file_info><max_nbytes>1</max_nbytes></file_info><nbytes>1</nbytes><offset>0</offset>",
        "<file_info><name>a</name></file_info><nbytes>-1</nbytes><offset>0</offset>",
        "<file_info><name>a</name></file_info><nbytes>1e9</nbytes><offset>0</offset>",
        "<file_info><name>a</name></file_info><nbytes>nan</nbytes><offset>0</offset>",
        "<file_info><name>a</name></file_info><nbytes>99999999999999999</nbytes><offset>0</offset>",
        "<file_info><name>a</name></file_info><nbytes>1</nbytes>",
        "<file_info><name>a</name></file_info><nbytes>1</nbytes><offset>2</offset>",
        f"<file_info><name>{'a' * 256}</name></file_info><nbytes>1</nbytes><offset>0</offset>",
    ],
)
def test_an_upload_that_does_not_say_what_it_is_is_refused(inner: str) -> None:
    with pytest.raises(Unreadable, match=r"\.$"):
        made(inner)


def test_sizes_may_be_written_as_decimals() -> None:
    found = made(
        "<file_info><name>a</name></file_info><nbytes>20.000000</nbytes><offset>3.</offset><md5_cksum>x</md5_cksum>"
    )
    assert isinstance(found, Upload)
    assert (found.size_bytes, found.offset, found.md5, found.size_bytes_max) == (20, 3, "", 0)


def test_what_is_in_the_data_is_not_read() -> None:
    body = upload("a_049") + b"<data>\n<get_file_size>x</get_file_size></data_server_request>" + DIGITS
    found = parse_upload_head(body)
    assert isinstance(found, Upload)
    assert found == parse_upload_head(upload("a_049"))


def test_a_head_that_goes_on_and_on_is_refused() -> None:
    body = upload("a_049")
    padded = body.replace(b"<file_upload>", b" " * HEAD_BYTES_MAX + b"<file_upload>")
    with pytest.raises(Unreadable):
        parse_upload_head(padded)


def test_mutated_requests_are_read_or_refused() -> None:
    choose = random.Random(7)
    bodies = [upload(name) for name in UPLOADS]
    for _ in range(3000):
        body = bytearray(choose.choice(bodies))
        for _ in range(choose.randint(1, 4)):
            at = choose.randint(0, len(body))
            body[at : at + choose.randint(0, 9)] = choose.choice(
                [b"", b"<", b"</", b">", b"<data>\n", b"\x00", b"&#0;"]
            )
        try:
            found = parse_upload_head(bytes(body))
        except Unreadable:
            continue
        assert 0 < len(found.name) <= 255
        assert isinstance(found, SizeQuery) or 0 <= found.offset <= found.size_bytes <= 2**53
