"""How quantities are read and progress is told."""

import json

import pytest

from fallow.cli.fleet import slots_of
from fallow.cli.job_options import JobOptions, quorum_of, request_fields
from fallow.cli.options import seconds, size_bytes
from fallow.cli.showing import many, one_line
from fallow.cli.summary import top_errors
from fallow.core.refusals import Refusal
from fallow.sdk.rates import Rate, lasting


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("4K", 4096), ("512M", 512 << 20), ("2GiB", 2 << 30), ("1.5g", 3 << 29), ("1 TB", 1 << 40)],
)
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize(
    ("text", "length"),
    [("30", 30.0), ("250ms", 0.25), ("1.5s", 1.5), ("5m", 300.0), ("2h", 7200.0), ("30d", 2592000.0)],
)
def test_times(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "much", "-1", "1e9", "5 minutes", "1X", "٣", "1M\n1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(Refusal):
        size_bytes(text)
    with pytest.raises(Refusal):
        seconds(text)


def test_only_what_was_said_is_sent() -> None:
    fields = request_fields(JobOptions(image="m:1", item_timeout="2m", env=["A=b=c"], items="3-7", max_errors=1))
    assert {name: value for name, value in fields.items() if value is not None} == {
        "container_image": "m:1",
        "contract": "stream",
        "reuse": "job",
        "verify": "hash",
        "limits": {"item_timeout_seconds": 120.0},
        "retry": {"max_errors": 1},
        "env": {"A": "b=c"},
        "chunk_range": {"start": 3, "end": 7},
    }
    fields = request_fields(JobOptions(volunteers=True, adaptive=True, homogeneous="model", distinct="account"))
    assert fields["requirements"] == {"volunteers": True}
    assert fields["replication"] == {"adaptive": True, "homogeneous": "model", "distinct": "account"}
    with pytest.raises(Refusal, match="no value"):
        request_fields(JobOptions(env=["A"]))


def test_a_rate_needs_two_looks_and_forgets_old_ones() -> None:
    rate = Rate()
    rate.note(10.0, 100)
    assert rate.seconds_left(50) is None
    rate.note(12.0, 120)
    assert (rate.per_second, rate.seconds_left(50)) == (10.0, 5.0)
    for look in range(100):
        rate.note(100.0 + look, 1000 + 20 * look)
    assert rate.per_second == 20.0


def test_words_for_people() -> None:
    assert [lasting(each) for each in (0.4, 59, 61, 7500)] == ["0 s", "59 s", "1 min 1 s", "2 h 5 min"]
    assert [many(each, "item") for each in (0, 1, 2000)] == ["0 items", "1 item", "2,000 items"]
    assert one_line("a\x1b[31mb\nc") == "a [31mb c"


def test_the_commonest_errors_come_first() -> None:
    lines = [json.dumps({"code": code, "message": "m"}).encode() for code in ["a", "b", "b", "c", "d", "e", "f"]]
    found = top_errors(lines)
    assert found[0] == ("b", "m", 2)
    assert len(found) == 5


def test_workers_share_the_cores() -> None:
    assert [slots_of(workers, 8) for workers in (1, 3, 8, 20)] == [8, 2, 1, 1]
    assert [quorum_of(rule) for rule in ("hash", "quorum:3", "quorum:2:json", "quorum:x", "quorum:0")] == [
        1,
        3,
        2,
        1,
        1,
    ]
