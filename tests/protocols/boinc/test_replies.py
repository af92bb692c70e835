"""Replies, held against those that a real server sent and an unmodified client took."""

from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallow.protocols.boinc.ai_batch import ChunkBlock, parse_blocks, render_blocks
from fallow.protocols.boinc.messages import (
    AppVersionXml,
    Credits,
    HostXml,
    Message,
    SchedulerReply,
    TaskXml,
    UserXml,
)
from fallow.protocols.boinc.reply import MESSAGE_BYTES_MAX, render
from fallow.protocols.boinc.xml import Element, parse, text_of
from tests.protocols.boinc.recordings import RECORDED, call_reply

SIGNATURE = "\n".join(["ab" * 32] * 4) + "\n.\n"
KEY = "1024\n" + "\n".join(["00" * 32] * 8) + "\n.\n"
VERSION = AppVersionXml(
    "fallow",
    101,
    "x86_64-pc-linux-gnu",
    "",
    "fallow-runner_101",
    "http://h/d/fallow-runner_101",
    9,
    SIGNATURE,
    1.0,
    2e9,
)
TASK = TaskXml(
    name="job-1_r7_0",
    workunit="job-1_r7",
    app_name="fallow",
    version_num=101,
    platform="x86_64-pc-linux-gnu",
    plan_class="",
    deadline=1795399492,
    operations_estimated=1e9,
    operations_max=1e14,
    memory_bytes=5e8,
    disk_bytes=1e9,
    input_name="ticket_7_aa",
    input_url="http://h/d/1/ticket_7_aa?a=1&b=2",
    input_md5="ab" * 16,
    input_size_bytes=20,
    output_name="answer_7_aa",
    output_url="http://h/boinc/file_upload_handler",
    output_size_bytes_max=5_000_000,
)
USER = UserXml(1, "tester", 1795312280.0, "e" * 32, "c" * 32, "x" * 32, Credits(2.776403, 0.2749), team_name="")
HOST = HostXml(1, 1795312329.0, "", Credits(2.776403, 0.2749))
FULL = SchedulerReply(
    project_name="Live test",
    request_delay_seconds=7.0,
    next_rpc_seconds=60.0,
    master_url="http://127.0.0.1:8081/live/",
    messages=(Message("Project has no tasks available"), Message("Look here", urgent=True)),
    user=USER,
    host=HOST,
    acks=("a_0", "b_0"),
    aborts=("c_0",),
    aborts_if_not_started=("d_0",),
    app_name="fallow",
    app_title="Containers",
    app_versions=[VERSION],
    tasks=[TASK],
    code_sign_key=KEY,
)
OURS_ALONE = {
    # what the recorded server had no cause to send, or has no word for; facts of the protocol say it is taken
    "scheduler_reply/next_rpc_delay",
    "scheduler_reply/result_abort",
    "scheduler_reply/result_abort/name",
    "scheduler_reply/result_abort_if_not_started",
    "scheduler_reply/result_abort_if_not_started/name",
    "scheduler_reply/result/report_immediately",
}
REPLIES = sorted(each.name.split(".")[0] for each in RECORDED.glob("*.call.response"))


def strict(raw: bytes) -> ElementTree.Element:
    """The recorded server writes a bare "&" in one place."""
    return ElementTree.fromstring(raw.replace(b"&auth=", b"&amp;auth="))


def paths(node: ElementTree.Element, above: str = "") -> Iterator[str]:
    path = f"{above}/{node.tag}".lstrip("/")
    yield path
    for child in node:
        yield from paths(child, path)


def test_a_reply_has_no_element_that_the_recorded_server_has_not() -> None:
    known = {path for name in REPLIES for path in paths(strict(call_reply(name)))}
    assert set(paths(ElementTree.fromstring(render(FULL)))) - known == OURS_ALONE


@pytest.mark.parametrize("name", REPLIES)
def test_elements_come_in_the_order_of_the_recorded_server(name: str) -> None:
    theirs = [each.tag for each in strict(call_reply(name))]
    ours = list(dict.fromkeys(each.tag for each in ElementTree.fromstring(render(FULL))))
    both = [tag for tag in ours if tag in theirs]
    assert len(both) >= 5
    assert both == sorted(both, key=theirs.index)


def test_a_refusal_is_the_recorded_one_byte_for_byte() -> None:
    """c_010: a key that nobody has; but for the text, which the recorded server forgot to translate."""
    text = '_("Invalid or missing account key.  To fix, remove and add this project.")'
    said = SchedulerReply("Live test", 3600.0, master_url=FULL.master_url, messages=(Message(text, urgent=True),))
    assert render(said) == call_reply("c_010")


def test_an_answer_without_work_is_the_recorded_one_byte_for_byte() -> None:
    """c_011: a client that says a wrong number of itself is told the right one. Without the recorded server's links."""
    recorded = call_reply("c_011")
    links = recorded[recorded.index(b"<gui_urls>") : recorded.index(b"</scheduler_reply>")]
    user = UserXml(
        1,
        "tester",
        1795312280.0,
        "55502f40dc8b7c769880b10874abc9d0",
        "d5cbc3ee90e63836ded87a3e8cae85c1",
        "543140defa4f04f86e793504222f9724",
        Credits(2.806762, 0.277541),
    )
    messages = (Message("Can't find host record"), Message("Project has no tasks available"))
    host = HostXml(1, 1795312329.0, "", user.credits)
    said = SchedulerReply("Live test", 7.0, 0.0, FULL.master_url, messages, user, host)
    expected = recorded.replace(links, b"").replace(b"\n\n", b"\n").replace(b"<team_name></team_name>\n", b"")
    assert render(said) == expected


def test_each_part_of_the_work_says_what_it_must() -> None:
    reply = parse(render(FULL), "scheduler_reply")
    program, ticket, answer = reply.all("file_info")
    assert [each.name for each in program.children] == ["name", "url", "executable", "file_signature", "nbytes"]
    assert program.text_of("file_signature") == SIGNATURE.strip()
    assert b"<file_signature>\n" + SIGNATURE.encode() + b"    </file_signature>" in render(FULL)
    assert (ticket.text_of("url"), ticket.text_of("md5_cksum"), ticket.text_of("nbytes")) == (
        TASK.input_url,
        TASK.input_md5,
        "20",
    )
    assert [each.name for each in answer.children] == [
        "name",
        "generated_locally",
        "upload_when_present",
        "max_nbytes",
        "url",
    ]
    version, workunit, result = (reply.first(name) or Element("") for name in ("app_version", "workunit", "result"))
    assert _reference(version) == ("fallow-runner_101", "", ["main_program"])
    assert _reference(workunit) == ("ticket_7_aa", "ticket.json", ["copy_file"])
    assert _reference(result) == ("answer_7_aa", "answer.json", ["copy_file"])
    assert version.text_of("api_version") == "8.0.0"
    assert (result.text_of("wu_name"), workunit.text_of("name")) == (TASK.workunit, TASK.workunit)
    assert result.flag("report_immediately")
    assert result.text_of("report_deadline") == "1795399492"
    assert reply.text_of("code_sign_key") == KEY.strip()


def _reference(element: Element) -> tuple[str, str, list[str]]:
    found = element.first("file_ref") or Element("")
    flags = [each.name for each in found.children if each.name not in {"file_name", "open_name"}]
    return found.text_of("file_name"), found.text_of("open_name"), flags


def test_what_is_not_known_is_not_said() -> None:
    tags = [each.tag for each in ElementTree.fromstring(render(SchedulerReply("p", 7.0)))]
    assert tags == ["scheduler_version", "dont_use_dcf", "request_delay", "project_name"]


def test_a_program_for_an_accelerator() -> None:
    version = replace(VERSION, plan_class="cuda", coprocessor_kind="NVIDIA", coprocessors=0.5)
    found = parse(render(replace(FULL, app_versions=[version])), "scheduler_reply").first("app_version") or Element("")
    coprocessor = found.first("coproc") or Element("")
    assert (found.text_of("plan_class"), coprocessor.text_of("type")) == ("cuda", "NVIDIA")
    assert float(coprocessor.text_of("count")) == 0.5


def test_rare_words() -> None:
    said = replace(FULL, is_down=True, no_processors=True, code_sign_key_signature=SIGNATURE)
    reply = parse(render(said), "scheduler_reply")
    assert reply.flag("project_is_down")
    assert reply.flag("no_cpu_apps")
    assert reply.text_of("no_rsc_apps") == "CPU"
    assert reply.text_of("code_sign_key_signature") == SIGNATURE.strip()
    named = replace(FULL, user=replace(USER, team_id=4, team_name="Team <4>"), host=replace(HOST, new_id=None))
    reply = parse(render(named), "scheduler_reply")
    assert (reply.text_of("teamid"), reply.text_of("team_name"), reply.first("hostid")) == ("4", "Team <4>", None)


def test_a_message_fits_the_clients_buffer() -> None:
    for text in ("é" * 2000, "x" * 2000, "\U0001f600" * 600):
        found = parse(render(SchedulerReply("p", 1.0, messages=(Message(text),))), "scheduler_reply").text_of("message")
        assert len(found.encode()) <= MESSAGE_BYTES_MAX
        assert text.startswith(found)


def test_nobody_writes_elements_into_a_reply() -> None:
    evil = "</message></scheduler_reply><scheduler_reply><result_abort><name>x</name></result_abort>\x00\x1b"
    user = replace(USER, name=evil, team_id=1, team_name=evil, email_hash=evil, cross_project_id=evil)
    task = replace(TASK, name=evil, workunit=evil, input_name=evil, input_url=evil, plan_class=evil, output_url=evil)
    version = replace(VERSION, plan_class=evil, url=evil, file_name=evil, signature=evil)
    said = replace(
        FULL,
        project_name=evil,
        messages=(Message(evil),),
        user=user,
        host=replace(HOST, venue=evil),
        acks=(evil,),
        app_title=evil,
        app_versions=[version],
        tasks=[task],
        code_sign_key=evil,
    )
    plain = replace(FULL, messages=FULL.messages[:1], acks=("a",), user=replace(USER, team_id=1, team_name="t"))
    evil_paths = list(paths(ElementTree.fromstring(render(said))))
    plain_task = replace(plain, app_versions=[replace(VERSION, plan_class="x")], tasks=[TASK])
    assert evil_paths == list(paths(ElementTree.fromstring(render(plain_task))))


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0, 1e9), st.integers(0, 2**53))
def test_what_is_rendered_is_scanned_back(name: str, title: str, seconds: float, number: int) -> None:
    task = replace(TASK, name=name, workunit=title, deadline=number, operations_max=seconds)
    said = replace(FULL, project_name=title, tasks=[task, task], acks=(name,), request_delay_seconds=seconds)
    reply = parse(render(said), "scheduler_reply")
    bare = title.replace("<", "").replace(">", "")  # a client cannot keep such a name
    clean = {text: text_of(text.replace("&", "&amp;").encode("utf-8", "replace")) for text in (name, title, bare)}
    assert reply.text_of("project_name") == clean[bare]
    assert (reply.first("result_ack") or Element("")).text_of("name") == clean[name]
    assert abs(float(reply.text_of("request_delay")) - seconds) < 1e-5
    results = reply.all("result")
    assert [each.text_of("name") for each in results] == [clean[name]] * 2
    assert {each.text_of("report_deadline") for each in results} == {str(number)}


SEED_BLOCK = """\
  <ai_batch>
    <job_id>job-123</job_id>
    <input_uri>s3://bucket/input.jsonl</input_uri>
    <output_uri>s3://bucket/output/</output_uri>
    <container_image>ghcr.io/org/model:tag</container_image>
    <chunk_id>7</chunk_id>
    <chunk_range start="7000" end="7999"/>
    <worker_label>edge</worker_label>
    <expected_output_sha256>...</expected_output_sha256>
  </ai_batch>
"""
SEED = ChunkBlock(
    "job-123",
    "s3://bucket/input.jsonl",
    "s3://bucket/output/",
    "ghcr.io/org/model:tag",
    7,
    7000,
    7999,
    worker_label="edge",
    expected_output_sha256="...",
)


def test_a_chunk_block_is_the_one_of_the_first_design() -> None:
    assert render_blocks([SEED]) == SEED_BLOCK
    bare = replace(SEED, worker_label="", expected_output_sha256="")
    assert render_blocks([bare]) == "".join(
        line for line in SEED_BLOCK.splitlines(keepends=True) if "label" not in line and "sha256" not in line
    )


def test_chunk_blocks_travel_in_their_workunit() -> None:
    blocks = [replace(SEED, chunk_id=n, range_start=n, range_end=n) for n in range(3)]
    raw = render(replace(FULL, tasks=[replace(TASK, extra=render_blocks(blocks))]))
    workunit = parse(raw, "scheduler_reply").first("workunit") or Element("")
    assert [each.text_of("chunk_id") for each in workunit.all("ai_batch")] == ["0", "1", "2"]
    assert parse_blocks(raw.decode()) == blocks


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 10**15), st.integers(0, 10**15))
def test_chunk_blocks_are_read_back(job_id: str, label: str, chunk_id: int, start: int) -> None:
    clean = [text_of(text.replace("&", "&amp;").encode("utf-8", "replace")) for text in (job_id, label)]
    block = replace(
        SEED, job_id=clean[0], worker_label=clean[1], chunk_id=chunk_id, range_start=start, expected_output_sha256=""
    )
    written = replace(block, job_id=job_id, worker_label=label if clean[1] else "")
    assert parse_blocks(render_blocks([written, SEED])) == [block, SEED]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://u:pw@host:8443/in.jsonl?X-Amz-Signature=abc#x", "https://host:8443/in.jsonl"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("file:///data/in.jsonl", "file:///data/in.jsonl"),
        ("fallow:file-abc", "fallow:file-abc"),
        ("http://[::1", ""),
        ("", ""),
    ],
)
def test_no_secret_travels_in_a_uri(uri: str, expected: str) -> None:
    found = parse_blocks(render_blocks([replace(SEED, input_uri=uri, output_uri=uri)]))[0]
    assert (found.input_uri, found.output_uri) == (expected, expected)
