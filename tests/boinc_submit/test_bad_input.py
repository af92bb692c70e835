"""Requests that are cut, mutated, too large or too deep: answered, never by a 5xx, and nothing is written down."""

import random
from contextlib import suppress
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import httpx2
import pytest

from fallow.protocols.boinc.job_files import files_call
from fallow.protocols.boinc.submit import batch_of, call_of
from fallow.protocols.boinc.submit_xml import DEPTH_MAX, BadXml, parse
from fallow.protocols.boinc.templates import input_template, output_template
from tests.boinc_submit.conftest import Project, stage_templates
from tests.boinc_submit.recorded import TEMPLATE_IN, TEMPLATE_OUT, all_requests
from tests.boinc_submit.script import Script

MUTATIONS = 4000
SENT_MUTATIONS = 150
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<query_batches><authenticator>&b;</authenticator></query_batches>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><ping><authenticator>&a;</authenticator></ping>'


def read(text: str) -> None:
    """As the door reads it; BadXml is its only way to say no."""
    with suppress(BadXml):
        call = call_of(text)
        files_call(call)
        call.integer("batch_id")
        call.number("expire_time")
        batch_of(call)


def mutated(text: bytes, dice: random.Random) -> bytes:
    data = bytearray(text)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(data)) if data else 0
        match dice.randrange(5):
            case 0:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                del data[at : at + dice.randint(1, 40)]
            case 2:
                data[at:at] = dice.choice(
                    [b"<", b">", b"&", b"</batch>", b"<job>", b"1e999", b"\0", b"-1", b"<![CDATA["]
                )
            case 3:
                data[at:at] = data[at : at + dice.randint(1, 200)]
            case 4:
                data = data[:at]
    return bytes(data)


@pytest.mark.parametrize("request_", all_requests(), ids=lambda each: each[1:20].decode().split(">")[0])
def test_recorded_requests_cut_at_every_byte_are_read_or_refused(request_: bytes) -> None:
    for end in range(len(request_)):
        read(request_[:end].decode("latin-1"))


def test_mutated_requests_are_read_or_refused() -> None:
    dice, requests = random.Random(7), all_requests()
    for _ in range(MUTATIONS):
        read(mutated(dice.choice(requests), dice).decode("latin-1"))


def test_mutated_templates_are_read_or_refused() -> None:
    dice = random.Random(11)
    for _ in range(MUTATIONS):
        for parser, text in ((input_template, TEMPLATE_IN), (output_template, TEMPLATE_OUT)):
            with suppress(BadXml):
                parser(mutated(text.encode(), dice).decode("latin-1"))


@pytest.mark.parametrize("bomb", [BOMB, OUTSIDE], ids=["bomb", "outside"])
def test_documents_that_define_entities_are_refused(bomb: str) -> None:
    with pytest.raises(BadXml, match="document type"):
        parse(bomb)


def test_deep_documents_are_refused() -> None:
    parse("<a>" * DEPTH_MAX + "</a>" * DEPTH_MAX)
    with pytest.raises(BadXml, match="too deep"):
        parse("<a>" * 100_000)


def test_texts_are_kept_as_they_are() -> None:
    source = "<source> a\n&lt;b&gt; \t</source>"
    text = f"<batch><job><input_file>{source}</input_file></job></batch>"
    assert batch_of(call_of(f"<submit_batch>{text}</submit_batch>")).jobs[0].files[0].source == " a\n<b> \t"


@pytest.fixture
def alice(project: Project) -> Script:
    stage_templates(project.alice)
    return project.alice


def test_cut_and_mutated_bodies_are_answered(project: Project, alice: Script) -> None:
    dice, requests = random.Random(3), all_requests()
    with httpx2.Client(timeout=60) as client:
        for round_ in range(SENT_MUTATIONS):
            text = mutated(dice.choice(requests), dice).decode("latin-1")
            body = urlencode({"request": text}).encode()
            if round_ % 3 == 0:
                body = mutated(body, dice)
            path = dice.choice(["submit_rpc_handler.php", "job_file.php"])
            kind = dice.choice(["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/xml"])
            answer = client.post(alice.url + path, content=body, headers={"content-type": kind})
            assert answer.status_code == 200, answer.text
            assert answer.text.startswith("<?xml")


def test_multipart_bodies_cut_at_many_places_are_answered(project: Project, alice: Script) -> None:
    request = f"<upload_files><authenticator>{alice.key}</authenticator><phys_name>cut</phys_name></upload_files>"
    whole = (
        f'--x\r\ncontent-disposition: form-data; name="request"\r\n\r\n{request}\r\n'
        '--x\r\ncontent-disposition: form-data; name="file_0"; filename="cut"\r\n\r\nthe bytes\r\n--x--\r\n'
    ).encode()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    with httpx2.Client(timeout=60) as client:
        for end in range(0, len(whole) - 4, 7):
            answer = client.post(f"{alice.url}job_file.php", content=whole[:end], headers=headers)
            assert "<success/>" not in answer.text
            assert answer.status_code == 200, (end, answer.text)
        assert "<file>0</file>" in alice.job_file("query_files", "<phys_name>cut</phys_name>").text
        assert "<success/>" in client.post(f"{alice.url}job_file.php", content=whole, headers=headers).text


def test_requests_that_are_too_large_are_refused(alice: Script) -> None:
    large = b"request=" + b"x" * (50 * 1024 * 1024)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    try:
        answer = httpx2.post(f"{alice.url}submit_rpc_handler.php", content=large, headers=headers, timeout=60)
    except (httpx2.WriteError, httpx2.ReadError, httpx2.RemoteProtocolError):
        return  # answered and closed while we still wrote
    assert "larger than" in answer.text


@pytest.mark.parametrize(
    "query", ["", "cmd=x", "cmd=result_file", "cmd=batch_files&batch_id=-1", "cmd=workunit_files&wu_id=9e9"]
)
def test_outputs_that_cannot_be_are_refused(alice: Script, query: str) -> None:
    answer = httpx2.get(f"{alice.url}get_output.php?{query}&auth_str=%ff%00", timeout=60)
    assert answer.status_code in (400, 404)
    assert answer.text.startswith("ERROR: ")


@pytest.mark.parametrize("name", ["'; DROP TABLE job; --", "--wu_id 7 x", "a b", "../../etc", "ü<&>"])
def test_names_are_names_and_nothing_else(alice: Script, name: str) -> None:
    job = f"<job><name>{escape(name)}</name><input_file><mode>inline</mode><source>x</source></input_file></job>"
    made = alice.call("submit_batch", f"<batch><app_name>shtest</app_name>{job}</batch>").findtext("batch_id")
    assert alice.call("query_batch", f"<batch_id>{made}</batch_id>").findtext("job/name") == name


def test_names_with_newlines_are_refused(alice: Script) -> None:
    job = "<job><name>a\n--wu_name b</name></job>"
    assert alice.error_of("submit_batch", f"<batch><app_name>shtest</app_name>{job}</batch>")[0] == -112
