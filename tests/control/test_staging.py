"""Inputs that are not lines become lines: Parquet rows of every kind of value, objects of a prefix, CSV headers."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fallow.control.staging import columns_of, object_lines, parquet_lines
from fallow.core.job import Chunking
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import InputFormat, JobState
from fallow.sim.world import SUBMITTER, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def parquet(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


VALUES = [
    (pa.int64(), [1, None, -(2**53)], [1, None, -(2**53)]),
    (pa.float64(), [0.5, float("nan"), float("inf")], [0.5, None, None]),
    (pa.string(), ["a", "ä\n", None], ["a", "ä\n", None]),
    (pa.bool_(), [True, False, None], [True, False, None]),
    (pa.binary(), [b"\x00\xff", b"", None], ["AP8=", "", None]),
    (pa.date32(), [date(2024, 2, 29)] * 3, ["2024-02-29"] * 3),
    (pa.timestamp("us", tz="UTC"), [datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)] * 3, ["2024-01-02T03:04:05+00:00"] * 3),
    (pa.time64("us"), [time(1, 2, 3)] * 3, ["01:02:03"] * 3),
    (pa.duration("ms"), [timedelta(seconds=1.5)] * 3, [1.5] * 3),
    (pa.decimal128(9, 2), [Decimal("1.20")] * 3, ["1.20"] * 3),
    (pa.list_(pa.float32()), [[1.0, float("nan")], [], None], [[1.0, None], [], None]),
    (pa.struct([("x", pa.int8())]), [{"x": 1}, {"x": None}, None], [{"x": 1}, {"x": None}, None]),
]


@pytest.mark.parametrize(("kind", "values", "expected"), VALUES, ids=lambda each: str(each)[:30])
def test_parquet_values(world: World, kind: pa.DataType, values: list[object], expected: list[object]) -> None:
    world.inputs.files["x"] = parquet(pa.table({"v": pa.array(values, kind)}))
    lines = b"".join(parquet_lines(world.inputs.source("sim:x"))).splitlines()
    assert [json.loads(line) for line in lines] == [{"v": each} for each in expected]


def test_a_parquet_file_of_many_row_groups_runs_in_order(world: World) -> None:
    table = pa.table({"n": list(range(3000)), "do": ["ok"] * 3000})
    world.inputs.files["x.parquet"] = parquet(table, row_group_size=700)
    given = Submission("sim:x.parquet", job_id="j", image="model", chunking=Chunking(items=500))
    world.server.intake.submit(SUBMITTER, given)
    world.add_worker("ada", slots=8, seconds=0.001)
    assert world.run(1, lambda: world.job("j").state is JobState.COMPLETED)
    assert [json.loads(line)["n"] for line in world.output("j").splitlines()] == list(range(3000))


@pytest.mark.parametrize("data", [b"", b"PAR1", b"{}\n", parquet(pa.table({"v": [1]}))[:-9]])
def test_what_is_no_parquet_fails_the_job_and_says_so(world: World, data: bytes) -> None:
    world.inputs.files["x.parquet"] = data
    world.server.intake.submit(SUBMITTER, Submission("sim:x.parquet", job_id="j", image="model"))
    world.rest()
    job = world.job("j")
    assert job.state is JobState.FAILED
    assert "cannot be read as Parquet" in job.reason


def test_objects_are_items_in_the_order_of_their_names(world: World) -> None:
    for name in ("b", "a/2", "a/10", "a.txt"):
        world.inputs.files[f"dir/{name}"] = b"ok 7"
    lines = [json.loads(line) for line in object_lines(world.inputs.source("sim:dir/"))]
    assert [line["name"] for line in lines] == ["a.txt", "a/10", "a/2", "b"]
    assert all(line["uri"] == f"sim:dir/{line['name']}" and line["size_bytes"] == 4 for line in lines)


def test_an_object_that_changed_since_is_not_taken_for_the_old_one(world: World) -> None:
    world.inputs.files["dir/a"] = b"ok 1"
    given = Submission("sim:dir/", job_id="j", image="model", input_format=InputFormat.OBJECTS)
    world.server.intake.submit(SUBMITTER, given)
    world.rest()
    world.inputs.files["dir/a"] = b"ok 2"
    world.add_worker("ada")
    world.run(1, lambda: world.job("j").finished_at is not None)
    assert "input_changed" in world.chunks("j")[0].last_code


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b"", ()),
        (b"a,b\n1,2\n", ("a", "b")),
        (b'\xef\xbb\xbfa,"b, c"\r\n', ("a", "b, c")),
        (b'"a\nb",c', ("a\nb", "c")),
    ],
)
def test_csv_headers(world: World, head: bytes, names: tuple[str, ...]) -> None:
    world.inputs.files["x"] = head
    assert columns_of(world.inputs.source("sim:x")) == names


@pytest.mark.parametrize("head", [b"a,a\n", b"\xff\xfe,b\n"])
def test_csv_headers_that_cannot_be(world: World, head: bytes) -> None:
    world.inputs.files["x"] = head
    with pytest.raises(Refusal) as caught:
        columns_of(world.inputs.source("sim:x"))
    assert caught.value.code is Code.INPUT_FORMAT
