"""fallow.sdk.verify: any change of a job's output is found and placed; garbage is reported, never raised."""

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fallow.core.refusals import Code, Refusal
from fallow.sdk.proof import prove
from fallow.sdk.verify import verify
from tests.sdk.outputs import dumps, error, write_output

FILES = ["output.jsonl", "errors.jsonl", "manifest.json"]


def answers(start: int, count: int) -> list[bytes]:
    return [dumps({"n": number, "text": "é" * (number % 3)}) for number in range(start, start + count)]


CHUNKS = [
    answers(0, 4),
    [*answers(4, 2), error("exception", "ValueError: no"), *answers(7, 1)],
    [error("crashed", "x")],
    answers(9, 3),
]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "out"
    write_output(directory, CHUNKS, failed=(2,))
    return directory


@pytest.fixture
def out(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "out"))


def flipped(path: Path, position: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1 << bit
    path.write_bytes(data)


def test_an_output_as_it_was_written_is_good(pristine: Path) -> None:
    verdict = verify(pristine)
    assert verdict.findings == []
    assert (verdict.items, verdict.error_items, verdict.chunks, verdict.receipts) == (12, 2, 4, 3)


def test_an_output_without_locators_or_items_is_good(tmp_path: Path) -> None:
    write_output(tmp_path / "plain", CHUNKS, failed=(2,), locators=False)
    write_output(tmp_path / "empty", [])
    assert verify(tmp_path / "plain").findings == []
    assert verify(tmp_path / "empty").findings == []


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_is_found_in_its_file(pristine: Path, tmp_path: Path, name: str) -> None:
    out = Path(shutil.copytree(pristine, tmp_path / "out"))
    original = (out / name).read_bytes()
    chance = random.Random(name)
    for position in range(len(original)):
        flipped(out / name, position, chance.randrange(8))
        verdict = verify(out)
        assert verdict.blames(name), f"byte {position} of {name}: {verdict.findings}"
        if name != "manifest.json" and (out / name).read_bytes().count(b"\n") == original.count(b"\n"):
            line = original[:position].count(b"\n") + 1
            assert line in [finding.line for finding in verdict.findings], f"byte {position}: {verdict.findings}"
        (out / name).write_bytes(original)


def test_a_changed_answer_is_named_by_line_worker_and_chunk(out: Path) -> None:
    lines = (out / "output.jsonl").read_bytes().splitlines(keepends=True)
    lines[10] = lines[10].replace(b"10", b"11")
    (out / "output.jsonl").write_bytes(b"".join(lines))
    (finding,) = verify(out).findings
    assert finding.line == 11
    assert finding.message.startswith("Line 11 of output.jsonl is not what worker w-")
    assert finding.message.endswith("signed in its receipt for chunk 3.")


def test_a_changed_answer_without_locators_is_named_by_its_chunk(tmp_path: Path) -> None:
    write_output(tmp_path / "out", CHUNKS, failed=(2,), locators=False)
    path = tmp_path / "out" / "output.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"n":10', b'"n":11'))
    (finding,) = verify(tmp_path / "out").findings
    assert finding.message.startswith("One of lines 10 to 12 of output.jsonl is not what worker w-")


def test_a_longer_line_spoils_only_its_chunk(out: Path) -> None:
    path = out / "output.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"n":1,', b'"n":111,'))
    assert [finding.line for finding in verify(out).findings] == [None, 2]


def test_a_changed_receipt_is_named(out: Path) -> None:
    path = out / "manifest.json"
    text = path.read_bytes()
    at = text.index(b'"sig":"') + 10
    path.write_bytes(text[:at] + (b"A" if text[at : at + 1] != b"A" else b"B") + text[at + 1 :])
    messages = [finding.message for finding in verify(out).findings]
    assert any("the receipt of chunk 0 has a bad signature" in message for message in messages)
    assert "manifest.json was changed after it was sealed: line 3 is not the one that was written." in messages


def test_a_changed_error_record_is_named(out: Path) -> None:
    path = out / "errors.jsonl"
    path.write_bytes(path.read_bytes().replace(b"crashed", b"crushed"))
    assert [finding.line for finding in verify(out).findings] == [2]


def test_a_resealed_forgery_is_found_by_the_signature(tmp_path: Path, pristine: Path) -> None:
    """Whoever changes an answer and writes a new manifest still lacks the worker's key."""
    forged = tmp_path / "forged"
    write_output(forged, [answers(1, 4), *CHUNKS[1:]], failed=(2,))
    text = (forged / "manifest.json").read_bytes().splitlines(keepends=True)
    text[2] = (pristine / "manifest.json").read_bytes().splitlines(keepends=True)[2]
    (forged / "manifest.json").write_bytes(b"".join(text))
    assert any("signed in its receipt for chunk 0" in finding.message for finding in verify(forged).findings)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_cut_or_longer_file_is_named(out: Path, name: str) -> None:
    original = (out / name).read_bytes()
    for changed in (original[:-1], original[: len(original) // 2], b"", original + b"\n", original + original[:40]):
        (out / name).write_bytes(changed)
        assert verify(out).blames(name)
    (out / name).unlink()
    assert verify(out).blames(name)
    (out / name).mkdir()
    assert verify(out).blames(name)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), data=st.binary(max_size=400), where=st.integers(0, 6000))
def test_garbage_is_a_finding_and_never_an_exception(
    pristine: Path, tmp_path: Path, name: str, data: bytes, where: int
) -> None:
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(pristine, out)
    original = (out / name).read_bytes()
    changed = original[:where] + data + original[where + len(data) :]
    (out / name).write_bytes(changed)
    assert verify(out).good == (changed == original)


@pytest.mark.parametrize("item", range(12))
def test_one_line_is_proved_without_the_others(pristine: Path, item: int) -> None:
    proof = prove(pristine, item)
    assert proof.holds
    assert proof.line == [line for chunk in CHUNKS for line in chunk][item]
    assert (proof.worker_id is None) == (item == 8)


def test_a_line_that_was_changed_or_is_not_there_is_not_proved(out: Path) -> None:
    with pytest.raises(Refusal) as missing:
        prove(out, 12)
    assert missing.value.code is Code.NOT_FOUND
    path = out / "output.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"n":10', b'"n":11'))
    with pytest.raises(Refusal) as changed:
        prove(out, 9)
    assert changed.value.code is Code.DIGEST_MISMATCH
    assert prove(out, 0).holds
