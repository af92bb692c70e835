"""`fallow run`: server, workers and job in one command, in real containers."""

import json
from pathlib import Path

import pytest

from tests.e2e.house import fallow, lines_of, numbered

pytestmark = pytest.mark.containers

# Answers {"n": 7} with {"n": 7}; an item that says {"do": "die"} ends the program as a bug in native code would.
ECHO_OR_DIE = (
    'while read -r line; do case "$line" in *die*) echo "cannot do $line" >&2; exit 3;; esac; echo "$line"; done'
)


def test_a_job_in_containers_ends_in_one_proved_output(tmp_path: Path, busybox: str) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(1000)))
    ran = fallow("run", items, "--image", busybox, "--output", tmp_path / "out", "--chunk-items", 100, "--", "cat")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "out/output.jsonl").read_bytes() == items.read_bytes()
    assert (tmp_path / "out/errors.jsonl").read_bytes() == b""
    proved = fallow("verify", tmp_path / "out")
    assert proved.returncode == 0, proved.stdout
    assert fallow("run", items, "--image", busybox, "--output", tmp_path / "out", "--", "cat").returncode == 2


def test_three_items_that_crash_the_model_become_three_error_lines(tmp_path: Path, busybox: str) -> None:
    bad = [137, 2600, 4999]
    items = tmp_path / "items.jsonl"
    items.write_bytes(b"".join(numbered(5000, dict.fromkeys(bad, "die"))))
    ran = fallow(
        "run", items, "--image", busybox, "--output", tmp_path / "out", "--chunk-items", 500, "--workers", 2,
        "--", "sh", "-c", ECHO_OR_DIE,
    )  # fmt: skip
    assert ran.returncode == 3, ran.stdout + ran.stderr
    outputs = lines_of(tmp_path / "out/output.jsonl")
    assert len(outputs) == 5000
    assert [index for index, line in enumerate(outputs) if "error" in line] == bad
    assert all(line == {"n": index} for index, line in enumerate(outputs) if index not in bad)
    errors = lines_of(tmp_path / "out/errors.jsonl")
    assert [(line["item"], line["line"], line["code"]) for line in errors] == [(n, n + 1, "exit_code") for n in bad]
    assert all("cannot do" in line["log_tail"] for line in errors)
    manifest = json.loads((tmp_path / "out/manifest.json").read_bytes())
    assert (manifest["counts"]["outputs"], manifest["counts"]["errors"]) == (4997, 3)
    assert fallow("verify", tmp_path / "out").returncode == 0


def test_lines_that_are_not_items_become_error_lines_with_their_numbers(tmp_path: Path, busybox: str) -> None:
    items = tmp_path / "items.jsonl"
    items.write_bytes(b'\xef\xbb\xbf{"n":0}\r\n\r\nnot json\n{"n":"\xff"}\n{"n":3}')
    ran = fallow("run", items, "--image", busybox, "--output", tmp_path / "out", "--error-threshold", 1, "--", "cat")
    assert ran.returncode == 3, ran.stdout + ran.stderr
    outputs = lines_of(tmp_path / "out/output.jsonl")
    assert [line.get("error", {}).get("code") for line in outputs] == [None, "not_json", "not_utf8", None]
    assert [line["item"] for line in lines_of(tmp_path / "out/errors.jsonl")] == [1, 2]


def test_an_empty_file_is_a_completed_job_with_empty_outputs(tmp_path: Path, busybox: str) -> None:
    items = tmp_path / "items.jsonl"
    items.touch()
    ran = fallow("run", items, "--image", busybox, "--output", tmp_path / "out", "--", "cat")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "out/output.jsonl").read_bytes() == b""
    assert fallow("verify", tmp_path / "out").returncode == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["missing.jsonl"], "input_missing"),
        (["items.jsonl", "--image", "oci:nowhere"], "image_unknown"),
        (["items.jsonl", "--chunk-items", "0"], "chunks_invalid"),
        (["items.jsonl", "--verify", "quorum:0"], "bad_request"),
        (["items.xyz"], "input_format"),
    ],
)
def test_what_cannot_work_is_refused_at_the_door(tmp_path: Path, busybox: str, words: list[str], code: str) -> None:
    (tmp_path / "items.jsonl").write_bytes(b'{"n":0}\n')
    (tmp_path / "items.xyz").write_bytes(b'{"n":0}\n')
    image = [] if "--image" in words else ["--image", busybox]
    ran = fallow("run", tmp_path / words[0], *words[1:], *image, "--output", tmp_path / "out", "--", "cat")
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert f"[{code}]" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
