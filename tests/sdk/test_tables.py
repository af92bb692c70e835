"""Results as Arrow, pandas and polars, and as HTML in a notebook."""

import sys
from typing import Any

import pyarrow as pa
import pytest

import fallow
from fallow.sdk import progress
from fallow.sdk.progress import Shown
from fallow.sdk.results import Results
from fallow.sdk.showing import job_html, jobs_html, results_html
from fallow.sdk.tables import arrow_table, pandas_frame, polars_frame
from tests.sdk.conftest import Farm

ERROR = {"error": {"code": "odd", "message": "It is odd."}}
EVIL = "<script>alert(1)</script>"


def test_members_are_columns_and_errors_are_nulls_with_a_reason() -> None:
    table = arrow_table([(0, {"label": "good", "score": 1}), (1, ERROR), (2, {"label": "bad", "score": 0.5})])
    assert table.schema == pa.schema(
        [("item", pa.int64()), ("label", pa.string()), ("score", pa.float64()), ("error", pa.string())]
    )
    assert table.to_pylist() == [
        {"item": 0, "label": "good", "score": 1.0, "error": None},
        {"item": 1, "label": None, "score": None, "error": "odd: It is odd."},
        {"item": 2, "label": "bad", "score": 0.5, "error": None},
    ]


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_the_schema_grows_with_what_comes_whatever_the_batches(batch: int) -> None:
    rows: list[tuple[int, Any]] = [
        (0, {"a": 1}),
        (1, {"a": 2.5, "b": None}),
        (2, {"b": [1, 2]}),
        (3, "no object"),
        (4, {"a": None, "item": 9}),
    ]
    table = arrow_table(rows, batch)
    assert table.to_pydict() == {
        "item": [0, 1, 2, 3, 4],
        "a": [1.0, 2.5, None, None, None],
        "b": [None, None, [1, 2], None, None],
        "output": [None, None, None, "no object", None],
        "output_item": [None, None, None, None, 9],
        "error": [None] * 5,
    }


@pytest.mark.parametrize("batch", [1, 1000])
def test_values_without_a_type_in_common_are_json_text(batch: int) -> None:
    table = arrow_table([(0, {"v": 1}), (1, {"v": "one"}), (2, {"v": {"deep": [None]}}), (3, {"v": 2**70})], batch)
    assert table["v"].to_pylist() == ["1", "one", '{"deep": [null]}', str(2**70)]


def test_nothing_is_an_empty_table() -> None:
    assert arrow_table([]).schema.names == ["item", "error"]


def test_pandas_and_polars() -> None:
    table = arrow_table([(5, {"x": 1.5}), (6, ERROR)])
    frame = pandas_frame(table)
    assert frame.index.tolist() == [5, 6]
    assert frame["x"].tolist()[0] == 1.5
    assert frame["error"].tolist()[1] == "odd: It is odd."
    assert polars_frame(table).rows() == [(5, 1.5, None), (6, None, "odd: It is odd.")]


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(fallow.Refusal, match=r"pip install 'fallow\[tables\]'"):
        arrow_table([])


def test_a_real_jobs_results_as_tables_and_pages(farm: Farm, capsys: pytest.CaptureFixture[str]) -> None:
    job = farm.client.submit(input_uri=farm.input(30), command=["cat"], chunk_items=4, name=EVIL)
    detail = job.wait(timeout_seconds=60, progress=True)
    assert f"{job.job_id} completed: 30 of 30 items" in capsys.readouterr().err
    assert job.to_arrow().to_pydict() == {"item": list(range(30)), "n": list(range(30)), "error": [None] * 30}
    assert job.to_pandas()["n"].sum() == job.to_polars()["n"].sum() == 435
    page = job._repr_html_()
    assert detail.job_id in page
    assert "<progress" in page
    assert "30 of 30 items" in page
    results = farm.client.results(job.job_id)
    shown = results._repr_html_()
    assert "<td>19</td>" in shown
    assert "<td>20</td>" not in shown
    assert next(results).item == 0, "showing does not read on"
    for html in (page, farm.client.jobs()._repr_html_()):
        assert EVIL not in html
        assert "&lt;script&gt;" in html


def test_what_strangers_wrote_is_escaped_everywhere(farm: Farm) -> None:
    job = farm.client.submit(input_uri=farm.input(1), command=["cat"], name=EVIL)
    detail = farm.client.job(job.job_id).model_copy(
        update={"reason": EVIL, "state": EVIL, "input_uri": EVIL, "container_image": EVIL, "why_waiting": [EVIL]}
    )
    shown = job_html(detail) + jobs_html([detail]) + results_html([(0, {EVIL: EVIL}), (1, EVIL)])
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 12
    long = results_html([(0, "<" * 10_000)])
    assert len(long) < 2000


def test_a_notebook_shows_one_display_and_replaces_it(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython's own interface, as the kernel's display machinery calls it."""
    import types

    shown: list[str] = []

    class Handle:
        def update(self, page: str) -> None:
            shown[-1] = page

    def display(page: str, display_id: bool) -> Handle:
        assert display_id
        shown.append(page)
        return Handle()

    module = types.SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress, "in_notebook", lambda: True)
    job = farm.client.submit(input_uri=farm.input(3), command=["cat"])
    with Shown() as screen:
        screen(farm.client.job(job.job_id))
        screen(job.wait(timeout_seconds=60))
    assert len(shown) == 1
    assert "completed: 3 of 3 items" in shown[0]


def test_results_can_be_read_twice() -> None:
    results = Results(lambda: iter([b'{"item":0,"output":1}']))
    assert [each.output for each in results] == [1]
    assert list(results) == []
    assert "<td>1</td>" in results._repr_html_()
