"""/submit: the form, what it would make, and the job."""

import json

import pytest

from fallow.web.ui.job_form import FIELDS, FRESH
from tests.web.conftest import House
from tests.web.ui.visiting import Visiting, faults, field

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def submitter(house: House) -> Visiting:
    return Visiting(house, house.key("submit", account="maker"))


def form(house: House, **values: str) -> dict[str, str]:
    return {**FRESH, "input_uri": house.input(25), "command": "cat", **values}


def jobs_of(visitor: Visiting, house: House) -> int:
    with house.client() as admin:
        return len(admin.get("/api/jobs?limit=1000").json()["jobs"])


def test_a_form_a_preview_a_job(house: House, submitter: Visiting) -> None:
    before = jobs_of(submitter, house)
    page = submitter.post("/submit", form(house, name=EVIL, chunk_by="items", chunk_size="10", env="A=b\nC=d=e"))
    assert page.status_code == 200
    assert faults(page.text) == []
    assert "<script>alert" not in page.text
    assert "3 chunks." in page.text
    assert jobs_of(submitter, house) == before, "a preview creates nothing"
    fields = {name: field(page.text, name) for name in (*FIELDS, "made_id")}
    for _ in range(2):
        assert (
            submitter.http.post(
                "/submit/create", data={**fields, "csrf": submitter.token}, follow_redirects=False
            ).headers["location"]
            == f"/job?job_id={fields['made_id']}"
        )
    assert jobs_of(submitter, house) == before + 1
    with house.client() as admin:
        spec = admin.get(f"/api/jobs/{fields['made_id']}").json()["spec"]
    assert spec["env"] == {"A": "b", "C": "d=e"}
    assert spec["chunking"]["items"] == 10
    assert spec["name"] == EVIL


@pytest.mark.parametrize(
    ("values", "wrong", "said"),
    [
        ({"input_uri": "file:///nowhere/in.jsonl"}, "input_uri", "file:"),
        ({"input_uri": ""}, "input_uri", ""),
        ({"input_format": "xlsx"}, "input_format", ""),
        ({"range_end": "99"}, "range_end", "last item is 24"),
        ({"range_start": "5", "range_end": "2"}, "range_start", "ends before it starts"),
        ({"chunk_by": "items", "chunk_size": "0"}, "chunk_size", "at least 1"),
        ({"chunk_by": "chunks", "chunk_size": "many"}, "chunk_size", ""),
        ({"command": "", "container_image": "Not An Image"}, "container_image", ""),
        ({"command": "sh -c 'open"}, "command", "quotation mark"),
        ({"env": "no equals sign"}, "env", "without ="),
        ({"memory_mib": "lots"}, "memory_mib", "not a number"),
        ({"memory_mib": "1e400"}, "memory_mib", "not a number"),
        ({"max_errors": "0"}, "max_errors", ""),
        ({"priority": "high"}, "priority", ""),
        ({"job_id": "../x"}, "job_id", "cannot name a job"),
        ({"output_uri": "file:///nowhere/"}, "output_uri", ""),
        ({"more": "{"}, "more", "not JSON"),
        ({"more": '{"nonsense": 1}'}, "more", "nonsense"),
        ({"verify": "quorum", "quorum": "1000"}, "quorum", "from 1 to 100"),
        ({"worker_label": "moon"}, "worker_label", ""),
        ({"name": "x" * 300}, "name", ""),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    house: House, submitter: Visiting, values: dict[str, str], wrong: str, said: str
) -> None:
    page = submitter.post("/submit", form(house, **values))
    assert 400 <= page.status_code < 500
    assert f'id="fault-{wrong}"' in page.text
    assert faults(page.text) == []
    fault = page.text[page.text.index(f'id="fault-{wrong}"') :].partition("</p>")[0]
    assert said.replace("'", "&#39;") in fault


def test_a_file_that_comes_with_the_form_is_kept(house: House, submitter: Visiting) -> None:
    lines = b"".join(json.dumps({"n": n}).encode() + b"\n" for n in range(7))
    page = submitter.post("/submit", {**FRESH, "command": "cat"}, {"file": ("seven.jsonl", lines)})
    assert page.status_code == 200
    assert field(page.text, "input_uri").startswith("fallow:blobs/")
    assert field(page.text, "input_format") == "jsonl"
    assert field(page.text, "name") == "seven.jsonl"
    unknown = submitter.post("/submit", {**FRESH, "command": "cat"}, {"file": ("seven.bin", lines)})
    assert 'id="fault-input_format"' in unknown.text


def test_a_clone_asks_for_the_same_again(house: House, submitter: Visiting) -> None:
    request = {
        "input_uri": house.input(25),
        "input_format": "jsonl",
        "command": ["sh", "-c", "cat; echo 'two words' >&2\n"],
        "env": {"A": "1", "B": "x y"},
        "num_chunks": 3,
        "chunk_range": {"start": 2, "end": 20},
        "verify": "quorum:2:numeric:0.001:1e-06",
        "limits": {"memory_bytes": 512 << 20, "item_timeout_seconds": 2.5, "pids": 64},
        "retry": {"max_errors": 2, "lease_seconds": 60},
        "requirements": {"cores": 2, "memory_bytes": 1 << 30},
        "replication": {"adaptive": True, "homogeneous": "vendor"},
        "worker_label": "edge",
        "reuse": "never",
        "priority": 3,
        "name": "again",
        "expires_seconds": 3600,
    }
    with house.client(house.key("submit", account="maker")) as maker:
        first = maker.post("/api/jobs", json=request).json()
    page = submitter.get(f"/submit?clone={first['job_id']}").text
    assert faults(page) == []
    values = {name: _value(page, name) for name in FIELDS if name not in ("overwrite", "volunteers")}
    preview = submitter.post("/submit", values)
    assert preview.status_code == 200, preview.text
    made = field(preview.text, "made_id")
    sent = {name: field(preview.text, name) for name in FIELDS}
    submitter.http.post("/submit/create", data={**sent, "made_id": made, "csrf": submitter.token})
    with house.client() as admin:
        second = admin.get(f"/api/jobs/{made}").json()["spec"]
    assert {**second, "job_id": ""} == {**first["spec"], "job_id": ""}


def _value(page: str, name: str) -> str:
    """What stands in a field of the form, whatever its kind."""
    import re
    from html import unescape

    area = re.search(rf'<textarea id="{name}"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    if area:
        return unescape(area[1])
    choice = re.search(rf'<select id="{name}".*?</select>', page, re.DOTALL)
    if choice:
        selected = re.search(r'<option value="([^"]*)" selected', choice[0])
        return unescape(selected[1]) if selected else ""
    if f'name="{name}"' not in page:
        return ""
    return field(page, name)


def test_others_jobs_are_not_cloned_and_others_ids_not_taken(house: House, submitter: Visiting) -> None:
    with house.client() as admin:
        theirs = admin.post("/api/jobs", json={"input_uri": house.input(), "command": ["cat"]}).json()["job_id"]
    assert submitter.get(f"/submit?clone={theirs}").status_code == 404
    page = submitter.http.post("/submit/create", data={**form(house), "made_id": theirs, "csrf": submitter.token})
    assert page.status_code == 409
    assert 'id="fault-job_id"' in page.text


def test_who_may_not_submit_is_told(house: House) -> None:
    worker = Visiting(house, house.key("work", account="only-works"))
    assert worker.post("/submit", form(house)).status_code == 403
    assert worker.post("/submit/create", form(house)).status_code == 403


def test_a_form_without_its_token_does_nothing(house: House, submitter: Visiting) -> None:
    before = jobs_of(submitter, house)
    for path in ("/submit", "/submit/create", "/submit/change"):
        for token in ("", "wrong", Visiting(house).token):
            assert submitter.post(path, form(house), token=token).status_code == 403
    assert jobs_of(submitter, house) == before


def test_the_form_takes_all_that_a_browser_sends(house: House, submitter: Visiting) -> None:
    """A file field left empty comes as a file without a name; a text area's lines end with CRLF."""
    page = submitter.post("/submit", form(house, env="A=1\r\nB=2"), {"file": ("", b"")})
    assert page.status_code == 200
    assert "A, B" in page.text
