"""/receipts: by a line, by a number, and nobody else's."""

import json

import httpx2
import pytest

from fallow.core.line_proof import parse_proof
from fallow.sdk.signatures import signature_checker
from tests.web.conftest import House
from tests.web.ui.visiting import Visiting, faults


@pytest.fixture(scope="module")
def visitor(house: House) -> Visiting:
    return Visiting(house)


def lines(admin: httpx2.Client, job_id: str) -> list[str]:
    return admin.get(f"/api/jobs/{job_id}/output/output.jsonl").text.splitlines()


def test_a_line_is_found_among_the_newest_jobs(visitor: Visiting, admin: httpx2.Client, finished: str) -> None:
    page = visitor.post("/receipts", {"line": lines(admin, finished)[12], "job_id": "", "item": ""})
    assert page.status_code == 200
    assert "Item 12 of" in page.text
    assert "signed and proved" in page.text
    assert faults(page.text) == []


def test_a_file_of_a_line_and_a_named_job(visitor: Visiting, admin: httpx2.Client, finished: str) -> None:
    line = lines(admin, finished)[24].encode() + b"\n"
    page = visitor.post("/receipts", {"job_id": finished}, {"file": ("line.json", line)})
    assert "Item 24 of" in page.text


def test_the_proof_convinces_without_the_server(visitor: Visiting, admin: httpx2.Client, finished: str) -> None:
    proof = visitor.get(f"/receipts/proof?job_id={finished}&item=7")
    line = visitor.get(f"/receipts/line?job_id={finished}&item=7")
    assert "attachment" in proof.headers["content-disposition"]
    assert line.content.decode() == lines(admin, finished)[7]
    read = parse_proof(proof.content)
    receipt = read.checked(line.content, signature_checker)
    assert receipt.job_id == finished
    assert receipt.item_start + read.index == 7


def test_what_is_no_line_or_nowhere_is_said(visitor: Visiting, finished: str) -> None:
    assert visitor.post("/receipts", {"line": "a\nb"}).status_code == 400
    assert visitor.post("/receipts", {"line": ""}).status_code == 400
    missed = visitor.post("/receipts", {"line": '{"n": "<script>alert(1)</script>"}', "job_id": finished})
    assert "No output holds exactly this line" in missed.text
    assert "<script>alert" not in missed.text
    for item in ("-1", "99999999999999999999", "x", "25"):
        assert visitor.get(f"/receipts?job_id={finished}&item={item}").status_code in (400, 404)
    assert visitor.get(f"/receipts/proof?job_id={finished}&item=25").status_code == 404


def test_other_peoples_jobs_are_not_there(house: House, admin: httpx2.Client, finished: str) -> None:
    stranger = Visiting(house, house.key("submit", account="stranger"))
    line = lines(admin, finished)[3]
    for page in (
        stranger.get(f"/receipts?job_id={finished}&item=3"),
        stranger.get(f"/receipts/proof?job_id={finished}&item=3"),
        stranger.get(f"/receipts/line?job_id={finished}&item=3"),
        stranger.post("/receipts", {"line": line, "job_id": finished}),
    ):
        assert page.status_code == 404
    assert "No output holds exactly this line" in stranger.post("/receipts", {"line": line}).text


def test_a_form_of_nobodys_is_refused(visitor: Visiting, house: House) -> None:
    other = Visiting(house, house.key("submit", account="other"))
    for token in ("", "x", other.token):
        assert visitor.post("/receipts", {"line": "{}"}, token=token).status_code == 403
    assert httpx2.get(f"{house.url}/receipts").status_code == 303


def test_a_custom_id_finds_the_workers_own_line(house: House, admin: httpx2.Client, visitor: Visiting) -> None:
    """The OpenAI form of a line has more in it than what the worker signed."""
    from tests.web.ui.working import run_job

    path = house.folder / "requests.jsonl"
    path.write_text("".join(json.dumps({"custom_id": f"r-{n}", "body": {}}) + "\n" for n in range(5)))
    job_id = run_job(house, {"input_uri": f"file://{path}", "command": ["cat"]})
    pasted = json.dumps({"id": "batch_req_1", "custom_id": "r-3", "response": {}, "error": None})
    page = visitor.post("/receipts", {"line": pasted, "job_id": job_id})
    assert "Item 3 of" in page.text
    assert "found by its custom_id" in page.text
