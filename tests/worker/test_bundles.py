"""An item with files of its own: they lie beside its line, under the names by which the image opens them."""

import base64
import hashlib
import json

from fallow.protocols.rest.work import ChunkInput, ObjectInput
from tests.worker.test_files import IN, OUT
from tests.worker.test_stream import blame


def bundle(server, line, sha256=None, **contents):
    """The input of one item: its line, and its files by their names, each with its digest unless another is said."""
    text = json.dumps(line).encode() + b"\n"
    files = tuple(
        ObjectInput(
            name,
            server.put(f"b-{name}", data),
            len(data),
            hashlib.sha256(data).hexdigest() if sha256 is None else sha256,
        )
        for name, data in contents.items()
    )
    url = server.put("b-line", text)
    return ChunkInput("bundles", url, 0, len(text), hashlib.sha256(text).hexdigest(), objects=files)


def run(rig, script, chunk):
    return rig.sh(script, input=chunk, item_count=1, contract="files")


def test_files_lie_beside_the_line_and_the_command_line_is_in_args(any_rig):
    chunk = bundle(any_rig.server, {"command_line": "-n 'a b'"}, **{"photo": b"\xff\x00", "empty": b""})
    script = f'dir=$(dirname {IN}); cat $dir/photo > {OUT}/copy; ls $dir > {OUT}/names; printf %s "$ARGS" > {OUT}/args'
    ended = run(any_rig, script, chunk)
    assert ended.fault is None
    files = {each["path"]: base64.b64decode(each["base64"]) for each in json.loads(ended.answers)["files"]}
    assert files == {"copy": b"\xff\x00", "names": b"empty\nitems.jsonl\nphoto\n", "args": b"-n 'a b'"}
    assert ended.receipt.input_sha256 == chunk.sha256


def test_files_may_stand_in_the_line(any_rig):
    line = {"files": [{"open_name": "short", "text": "a\r\nä"}]}
    ended = run(any_rig, f"cat $(dirname {IN})/short > {OUT}/copy", bundle(any_rig.server, line))
    assert base64.b64decode(json.loads(ended.answers)["files"][0]["base64"]) == "a\r\nä".encode()
    bad = {"files": [{"open_name": "../short", "text": "x"}]}
    assert blame(run(any_rig, "true", bundle(any_rig.server, bad))) == ("submitter", "input_changed", None)


def test_args_is_not_set_without_a_command_line(any_rig):
    ended = run(any_rig, f'printf %s "${{ARGS-none}}" > {OUT}/args', bundle(any_rig.server, {}))
    assert base64.b64decode(json.loads(ended.answers)["files"][0]["base64"]) == b"none"


def test_an_item_whose_files_could_not_be_had_is_never_run(any_rig):
    refused = {"refused": {"code": "input_missing", "message": "There is no file."}}
    ended = run(any_rig, f"touch {OUT}/ran", bundle(any_rig.server, refused))
    assert json.loads(ended.answers) == {"error": {"code": "input_missing", "message": "There is no file."}}
    assert ended.receipt.item_errors == 1


def test_other_bytes_than_planned_are_a_changed_input(any_rig):
    ended = run(any_rig, "true", bundle(any_rig.server, {}, sha256="0" * 64, photo=b"x"))
    assert blame(ended) == ("submitter", "input_changed", None)


def test_names_that_leave_the_folder_are_refused(any_rig):
    for name in ("../x", "a/b", "items.jsonl"):
        ended = run(any_rig, "true", bundle(any_rig.server, {}, **{name: b"x"}))
        assert blame(ended) == ("submitter", "input_changed", None)
