"""POST /api/estimates: a job tried on paper, with the same refusals as a real one."""

import json
from datetime import date

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq

from tests.web.conftest import House


def tried(admin: httpx2.Client, **job: object) -> httpx2.Response:
    return admin.post("/api/estimates", json={"command": ["cat"], **job})


def test_a_job_that_never_ran_shows_its_items_and_chunks_and_no_time(house: House, admin: httpx2.Client) -> None:
    path = house.folder / "mixed.jsonl"
    path.write_bytes(b'{"n": 0}\n\n{"n": 1}\nnot json\n{"n": "\xc3\xa9"}\r\n\xff\xfe\n')
    answer = tried(admin, input_uri=f"file://{path}", command=["never", "ran"], chunk_items=2)
    assert answer.status_code == 200
    said = answer.json()
    assert said["items"] == {"items": 5, "exact": True}
    assert [(each["item"], each["line"], each["fault"]) for each in said["first"][:4]] == [
        (0, '{"n": 0}', ""),
        (1, '{"n": 1}', ""),
        (2, "not json", "not JSON"),
        (3, '{"n": "é"}', ""),
    ]
    assert said["first"][4]["fault"] == "not UTF-8"
    assert (said["bad_items"], said["looked_at"]) == (2, 5)
    assert said["plan"] == {
        "chunks": 3,
        "exact": True,
        "first": [{"start": 0, "end": 1}, {"start": 2, "end": 3}, {"start": 4, "end": 4}],
    }
    assert said["estimate"] is None


def test_nothing_is_created(house: House, admin: httpx2.Client) -> None:
    said = tried(admin, input_uri=house.input(), job_id="only-tried").json()
    assert said["job_id"] == "only-tried"
    assert admin.get("/api/jobs/only-tried").status_code == 404


def test_an_image_that_ran_before_has_an_estimate(house: House, admin: httpx2.Client, finished: str) -> None:
    spec = admin.get(f"/api/jobs/{finished}").json()["spec"]
    answer = tried(admin, input_uri=house.input(1000), command=spec["command"], num_chunks=10)
    said = answer.json()["estimate"]
    assert said["pace"]["chunks"] == 3
    assert 0 < said["slot_seconds"]["low"] <= said["slot_seconds"]["likely"] <= said["slot_seconds"]["high"]


def test_it_refuses_what_a_submission_would(house: House, admin: httpx2.Client) -> None:
    wrong = {"input_uri": house.input(5, "five.jsonl"), "command": ["cat"], "chunk_range": {"start": 0, "end": 9}}
    submitted, estimated = admin.post("/api/jobs", json=wrong), admin.post("/api/estimates", json=wrong)
    assert estimated.status_code == submitted.status_code == 400
    assert estimated.json()["error"]["code"] == submitted.json()["error"]["code"] == "range_past_end"
    assert tried(admin, input_uri="file:///nowhere.jsonl").status_code == 403
    with house.client(house.key("work")) as worker:
        assert worker.post("/api/estimates", json=wrong).status_code == 403


def test_a_range_is_shown_from_its_start(house: House, admin: httpx2.Client) -> None:
    answer = tried(admin, input_uri=house.input(25), chunk_range={"start": 20, "end": 23}, chunk_items=3)
    said = answer.json()
    assert said["items"] == {"items": 4, "exact": True}
    assert [each["item"] for each in said["first"]] == [20, 21, 22, 23, 24][: len(said["first"])]
    assert [json.loads(each["line"])["n"] for each in said["first"]][:4] == [20, 21, 22, 23]
    assert said["plan"]["first"] == [{"start": 20, "end": 22}, {"start": 23, "end": 23}]


def test_csv_and_text_are_shown_as_the_image_gets_them(house: House, admin: httpx2.Client) -> None:
    table = house.folder / "t.csv"
    table.write_text('a,b\n1,"two\nlines"\n3\n')
    said = tried(admin, input_uri=f"file://{table}").json()
    assert [(each["line"], each["fault"]) for each in said["first"]] == [
        ('{"a":"1","b":"two\\nlines"}', ""),
        ("3", "1 values for 2 columns"),
    ]
    assert said["items"]["items"] == 2
    words = house.folder / "w.txt"
    words.write_text("hello\n<script>\n")
    said = tried(admin, input_uri=f"file://{words}").json()
    assert [each["line"] for each in said["first"]] == ['{"text":"hello"}', '{"text":"<script>"}']


def test_a_large_input_is_sampled_and_says_so(house: House, admin: httpx2.Client) -> None:
    path = house.folder / "large.jsonl"
    line = json.dumps({"n": 1, "pad": "x" * 1000}).encode() + b"\n"
    with path.open("wb") as file:
        block = line * 1024
        while file.tell() < 65 * 1024 * 1024:
            file.write(block)
        lines = file.tell() // len(line)
    said = tried(admin, input_uri=f"file://{path}", chunk_items=1000).json()
    assert said["items"]["exact"] is said["plan"]["exact"] is False
    assert abs(said["items"]["items"] - lines) < lines * 0.01
    assert abs(said["plan"]["chunks"] - lines / 1000) <= 2
    assert said["plan"]["first"][0] == {"start": 0, "end": 999}
    path.unlink()


def test_the_first_items_are_what_the_worker_makes_of_them(house: House, admin: httpx2.Client) -> None:
    """The worker's own reading of the same files, item by item."""
    from fallow.core.words import InputFormat
    from fallow.worker.assignment import InputExtent
    from fallow.worker.items import items_of

    files = {
        "jsonl": b'\xef\xbb\xbf{"a": 1}\r\n  {"b": 2}  \n\n[]\nnope\n"\xc3\xa9"\n\xff\n{"last": 1}',
        "text": b"one\r\n\n  two  \n\xff\nthree",
        "csv": b'x,y\r\n1,2\r\n"a ""b""",c\n\n5\n"p\nq",r\n',
    }
    for kind, data in files.items():
        path = house.folder / f"same.{kind}"
        path.write_bytes(data)
        columns = ("x", "y") if kind == "csv" else ()
        extent = InputExtent(InputFormat(kind), "", 0, len(data), "", 0, columns)
        theirs = list(items_of(path, extent, 1 << 20))[1 if kind == "csv" else 0 :]
        ours = tried(admin, input_uri=f"file://{path}", input_format=kind).json()["first"]
        sent = [each["line"].encode() if not each["fault"] else b"" for each in ours]
        assert sent == [item.line for item in theirs[: len(ours)]], kind


def test_tables_and_directories_are_counted_without_being_read(house: House, admin: httpx2.Client) -> None:
    table = house.folder / "rows.parquet"
    pq.write_table(pa.table({"n": list(range(2500)), "when": [date(2026, 1, 1)] * 2500}), table)
    said = tried(admin, input_uri=f"file://{table}", chunk_items=1000).json()
    assert said["items"] == {"items": 2500, "exact": True}
    assert said["first"][0]["line"] == '{"n":0,"when":"2026-01-01"}'
    assert said["plan"]["first"] == [
        {"start": 0, "end": 999},
        {"start": 1000, "end": 1999},
        {"start": 2000, "end": 2499},
    ]
    folder = house.folder / "objects"
    folder.mkdir()
    for name in ("b.txt", "a.txt", "c.txt"):
        (folder / name).write_text(name)
    said = tried(admin, input_uri=f"file://{folder}/", num_chunks=2).json()
    assert said["items"] == {"items": 3, "exact": True}
    assert [json.loads(each["line"])["name"] for each in said["first"]] == ["a.txt", "b.txt", "c.txt"]
    assert said["plan"] == {"chunks": 2, "exact": True, "first": [{"start": 0, "end": 1}, {"start": 2, "end": 2}]}


def test_an_empty_input_and_broken_ones(house: House, admin: httpx2.Client) -> None:
    empty = house.folder / "empty.jsonl"
    empty.write_bytes(b"\n \n")
    said = tried(admin, input_uri=f"file://{empty}").json()
    assert said["items"] == {"items": 0, "exact": True}
    assert said["first"] == []
    assert said["plan"]["chunks"] == 0
    broken = house.folder / "broken.parquet"
    broken.write_bytes(b"PAR1 not really PAR1")
    answer = tried(admin, input_uri=f"file://{broken}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "input_format")


def test_a_far_range_of_a_large_input_is_cut_all_the_same(house: House, admin: httpx2.Client) -> None:
    """What lies beyond the part that is read is counted from what was asked for."""
    path = house.folder / "far.jsonl"
    line = json.dumps({"pad": "x" * 2000}).encode() + b"\n"
    with path.open("wb") as file:
        for _ in range(36):
            file.write(line * 1024)
    far = {"start": 30_000, "end": 30_999}
    said = tried(admin, input_uri=f"file://{path}", chunk_items=100, chunk_range=far).json()
    path.unlink()
    assert said["items"]["items"] == 1000
    assert said["first"] == []
    assert said["plan"]["chunks"] == 10
