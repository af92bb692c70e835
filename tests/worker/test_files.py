"""The files contract: /in, /out, any format."""

import base64
import json

from fallow.protocols.rest.work import ChunkInput, LimitsMessage, ObjectInput
from tests.worker.test_stream import MIB, blame, lines

IN = "${AI_INPUT_URI#file://}"
OUT = "${AI_OUTPUT_URI#file://}"


def objects(server, **contents):
    inputs = [ObjectInput(f"dir/{n}", server.put(f"o-{n}", data), len(data)) for n, data in contents.items()]
    return ChunkInput("objects", objects=tuple(inputs))


def test_lines_in_and_lines_out(any_rig):
    ended = any_rig.sh(f"cat {IN} > {OUT}/output.jsonl", items=lines(10), contract="files")
    assert ended.fault is None
    assert ended.answers == lines(10)


def test_a_file_per_item_by_its_number(any_rig):
    script = f"printf a > {OUT}/70.txt; mkdir {OUT}/71; printf b > {OUT}/71/x.bin; printf c > {OUT}/71-y"
    ended = any_rig.sh(script, items=lines(3), contract="files", item_start=70)
    answers = [json.loads(line) for line in ended.answers.splitlines()]
    assert [[f["path"] for f in a["files"]] for a in answers[:2]] == [["70.txt"], ["71-y", "71/x.bin"]]
    assert base64.b64decode(answers[0]["files"][0]["base64"]) == b"a"
    assert answers[2]["error"]["code"] == "no_output"
    assert ended.receipt.item_errors == 1


def test_objects_come_as_they_are(any_rig):
    chunk = objects(any_rig.server, **{"a.bin": b"\xff\x00", "b.bin": b"two"})
    script = f"for f in a b; do cat {IN}/$f.bin {IN}/$f.bin > {OUT}/$f.double; done"
    ended = any_rig.sh(script, input=chunk, item_count=2, contract="files")
    assert ended.fault is None
    answers = [json.loads(line)["files"][0] for line in ended.answers.splitlines()]
    assert [a["path"] for a in answers] == ["a.double", "b.double"]
    assert base64.b64decode(answers[0]["base64"]) == b"\xff\x00\xff\x00"


def test_objects_as_lines_for_stream(any_rig):
    chunk = objects(any_rig.server, a=b"text", b=b"\xff")
    ended = any_rig.sh("cat", input=chunk, item_count=2)
    assert [json.loads(line) for line in ended.answers.splitlines()] == [
        {"name": "dir/a", "text": "text"},
        {"name": "dir/b", "base64": "/w=="},
    ]


def test_a_file_of_nobody(any_rig):
    ended = any_rig.sh(f"echo > {OUT}/stray", items=lines(2), contract="files")
    assert blame(ended) == ("submitter", "unmatched_output", None)


def test_a_full_output_directory_ends_the_program(any_rig):
    script = f"yes > {OUT}/big"
    ended = any_rig.sh(script, items=lines(2), contract="files", limits=LimitsMessage(output_bytes=20 * MIB))
    assert blame(ended) == ("limits", "output_too_large", None)


def test_a_full_tmp_is_the_programs_own_trouble(rig):
    script = "yes > /tmp/big || exit 9"
    ended = rig.sh(script, items=lines(2), contract="files", limits=LimitsMessage(tmp_bytes=MIB))
    assert blame(ended) == ("submitter", "exit_code", None)
    assert ended.fault.exit_code == 9


def test_a_link_in_the_output_is_not_followed(any_rig):
    ended = any_rig.sh(f"ln -s /etc/passwd {OUT}/0; true", items=lines(1), contract="files")
    assert b"root" not in ended.answers


def test_the_container_can_write_nowhere_else(rig):
    script = "touch /x /bin/x /in/x 2>&1 | wc -l >&2; id >&2; echo '{}' > /out/output.jsonl"
    ended = rig.sh(script, items=lines(1), contract="files")
    assert ended.fault is None
    assert ended.log.startswith(b"3\nuid=1000(1000) gid=1000(1000)")


def test_an_exit_code_of_a_single_item_names_it(any_rig):
    ended = any_rig.sh("exit 4", items=lines(1), contract="files", item_start=5)
    assert blame(ended) == ("submitter", "exit_code", 5)


def test_a_hanging_program_is_cut_off(any_rig):
    limits = LimitsMessage(chunk_timeout_seconds=1)
    ended = any_rig.sh("sleep 1000", items=lines(2), contract="files", limits=limits)
    assert blame(ended) == ("limits", "chunk_timeout", None)
