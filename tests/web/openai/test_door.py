"""/v1 as an HTTP door: its form of error everywhere, who may what, bodies of every kind."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from fallow.control.batches import Batches
from fallow.core.refusals import Code, Refusal
from tests.web.conftest import House

ENDPOINT = "/v1/x/door"
KEYS = ["code", "message", "param", "type"]


@pytest.fixture(scope="module")
def model(house: House) -> str:
    with house.client() as admin:
        body = {"name": "org/door", "endpoints": [ENDPOINT], "job": {"command": ["cat"], "chunk_items": 7}}
        answer = admin.post("/api/models", json=body)
        assert answer.status_code == 201, answer.text
    return "org/door"


@pytest.fixture(scope="module")
def alice(house: House, model: str) -> Iterator[httpx2.Client]:
    with house.client(house.key("submit", account="alice")) as client:
        yield client


def error_of(answer: httpx2.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert sorted(error) == KEYS
    assert error["message"]
    assert answer.headers["x-request-id"]
    return error


def sent(client: httpx2.Client, data: bytes = b"{}\n", purpose: str = "batch") -> str:
    answer = client.post("/v1/files", data={"purpose": purpose}, files={"file": ("in.jsonl", data)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def request(file_id: str, **said: Any) -> dict[str, Any]:
    return {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h", **said}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v1/files/../secrets", 404),
        ("PUT", "/v1/files", 405),
        ("DELETE", "/v1/batches", 405),
        ("GET", "/v1/files/file-none", 404),
        ("GET", "/v1/files/file-none/content", 404),
        ("DELETE", "/v1/files/file-none", 404),
        ("GET", "/v1/batches/batch_none", 404),
        ("POST", "/v1/batches/batch_none/cancel", 404),
        ("GET", "/v1/batches?after=batch_none", 404),
        ("GET", "/v1/files?after=file-none", 404),
        ("POST", "/v1/uploads/upload_none/cancel", 404),
        ("GET", "/v1/models/none", 404),
        ("GET", "/v1/batches?limit=0", 400),
        ("GET", "/v1/batches?limit=101", 400),
        ("GET", "/v1/batches?limit=x", 400),
        ("GET", "/v1/files?limit=10001", 400),
        ("GET", "/v1/files?order=up", 400),
        ("GET", "/v1/batches/%00", 404),
        ("GET", "/v1/batches/" + "x" * 3000, 404),
    ],
)
def test_whatever_is_not_there_is_refused_in_the_same_form(
    alice: httpx2.Client, method: str, path: str, status: int
) -> None:
    error_of(alice.request(method, path), status)


@pytest.mark.parametrize("authorization", [None, "", "Bearer flw_0_0", "Basic eDp5", "Bearer \xff"])
def test_a_key_is_needed_everywhere(house: House, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    for method, path in (("GET", "/v1/files"), ("POST", "/v1/files"), ("POST", "/v1/batches"), ("GET", "/v1/models")):
        error = error_of(httpx2.request(method, house.url + path, headers=headers), 401)
        assert error["code"] == "invalid_api_key"


def test_a_worker_s_key_is_no_submitter_s(house: House) -> None:
    with house.client(house.key("work", account="worker")) as client:
        for answer in (client.get("/v1/files"), client.get("/v1/batches"), client.get("/v1/models")):
            assert error_of(answer, 403)["type"] == "permission_error"
        error_of(client.post("/v1/files", data={"purpose": "batch"}, files={"file": b"x"}), 403)
        error_of(client.post("/v1/batches", json=request("file-x")), 403)


def test_other_people_s_ids_are_not_there(house: House, alice: httpx2.Client) -> None:
    file_id = sent(alice)
    upload = {"bytes": 1, "filename": "x", "mime_type": "text/plain", "purpose": "batch"}
    upload_id = alice.post("/v1/uploads", json=upload).json()["id"]
    batch_id = alice.post("/v1/batches", json=request(file_id)).json()["id"]
    with house.client(house.key("submit", account="bob")) as bob:
        for method, path in (
            ("GET", f"/v1/files/{file_id}"),
            ("GET", f"/v1/files/{file_id}/content"),
            ("DELETE", f"/v1/files/{file_id}"),
            ("GET", f"/v1/files?after={file_id}"),
            ("POST", f"/v1/uploads/{upload_id}/cancel"),
            ("GET", f"/v1/batches/{batch_id}"),
            ("POST", f"/v1/batches/{batch_id}/cancel"),
            ("GET", f"/v1/batches?after={batch_id}"),
        ):
            error_of(bob.request(method, path), 404)
        error_of(bob.post("/v1/batches", json=request(file_id)), 404)
        error_of(bob.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": []}), 404)
        form = {"files": {"data": b"x"}}
        error_of(bob.post(f"/v1/uploads/{upload_id}/parts", **form), 404)
        assert bob.get("/v1/files").json()["data"] == bob.get("/v1/batches").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", "input_file_id"),
        (b"{}", "input_file_id"),
        (b"[]", None),
        (b"null", None),
        (b"{nonsense", None),
        (b"\xff\xfe", None),
        (b"[" * 50_000, None),
        (json.dumps(request("f") | {"metadata": {"k": 1}}).encode(), "metadata.k"),
        (json.dumps(request("f") | {"metadata": {str(n): "" for n in range(17)}}).encode(), "metadata"),
        (json.dumps(request("f") | {"metadata": {"k" * 65: "v"}}).encode(), None),
        (json.dumps(request("f") | {"completion_window": "soon"}).encode(), "completion_window"),
        (json.dumps(request("f") | {"completion_window": "0h"}).encode(), "completion_window"),
        (json.dumps(request("f") | {"completion_window": "366d"}).encode(), "completion_window"),
        (json.dumps(request("f") | {"output_expires_after": {"anchor": "now", "seconds": 3600}}).encode(), None),
        (json.dumps(request("f") | {"output_expires_after": {"anchor": "created_at", "seconds": 1}}).encode(), None),
        (json.dumps(request("f") | {"nonsense": 1}).encode(), "nonsense"),
        (json.dumps(request("f") | {"x_fallow_state": "completed"}).encode(), "x_fallow_state"),
        (json.dumps(request("f") | {"x_fallow": 3}).encode(), "x_fallow"),
        (json.dumps(request("f\x00")).encode(), "input_file_id"),
        (json.dumps(request("f") | {"metadata": {"k": "\x00"}}).encode(), None),
    ],
)
def test_a_body_that_is_wrong_says_where(alice: httpx2.Client, body: bytes, param: str | None) -> None:
    error = error_of(alice.post("/v1/batches", content=body, headers={"content-type": "application/json"}), 400)
    assert error["type"] == "invalid_request_error"
    assert param is None or error["param"] == param


def test_a_body_or_a_private_member_that_is_too_large(alice: httpx2.Client) -> None:
    error_of(alice.post("/v1/batches", content=b"x" * 200_000), 413)
    error_of(alice.post("/v1/batches", content=iter([b"x" * 60_000] * 3)), 413)
    error_of(alice.post("/v1/batches", json=request("f", x_mine="x" * 20_000)), 413)


def test_an_endpoint_or_a_purpose_that_does_not_fit(alice: httpx2.Client) -> None:
    file_id = sent(alice)
    error = error_of(alice.post("/v1/batches", json=request(file_id, endpoint="/v1/none")), 400)
    assert error["param"] == "endpoint"
    assert ENDPOINT in error["message"]
    other = sent(alice, purpose="user_data")
    assert error_of(alice.post("/v1/batches", json=request(other)), 400)["param"] == "input_file_id"


def test_cancel_comes_as_json_without_a_body(alice: httpx2.Client) -> None:
    batch_id = alice.post("/v1/batches", json=request(sent(alice))).json()["id"]
    headers = {"content-type": "application/json", "content-length": "0"}
    answer = alice.post(f"/v1/batches/{batch_id}/cancel", headers=headers)
    assert answer.status_code in (200, 409), "perhaps it has failed already"
    assert alice.get(f"/api/jobs/{batch_id}").status_code == 200, "a batch is a job"


def test_a_mistake_of_ours_and_a_store_that_is_away(alice: httpx2.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Batches, "listed", broken)
    answer = alice.get("/v1/batches")
    assert error_of(answer, 500)["type"] == "server_error"
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.text

    def away(*_: object) -> None:
        raise Refusal(Code.STORAGE_UNREACHABLE, "The database is away.")

    monkeypatch.setattr(Batches, "listed", away)
    answer = alice.get("/v1/batches")
    assert error_of(answer, 503)["code"] == "storage_unreachable"
    assert answer.headers["retry-after"]


def test_content_by_range_and_by_etag(alice: httpx2.Client) -> None:
    path = f"/v1/files/{sent(alice, b'0123456789')}/content"
    whole = alice.get(path, headers={"accept": "application/binary"})
    assert (whole.content, whole.headers["content-length"]) == (b"0123456789", "10")
    assert whole.headers["content-type"] == "application/jsonl"
    assert whole.headers["x-content-type-options"] == "nosniff"
    etag = whole.headers["etag"]
    assert alice.get(path, headers={"if-none-match": etag}).status_code == 304
    part = alice.get(path, headers={"range": "bytes=3-"})
    assert (part.status_code, part.content) == (206, b"3456789")
    assert alice.head(path).headers["content-length"] == "10"
    error_of(alice.get(path, headers={"range": "bytes=10-"}), 416)


def test_a_model_is_added_shown_used_and_removed(house: House, alice: httpx2.Client, model: str) -> None:
    with house.client() as admin:
        body = {"name": "gone", "endpoints": ["/v1/x/gone"], "job": {"command": ["cat"], "priority": 4}}
        error = alice.post("/api/models", json=body)
        assert (error.status_code, error.json()["error"]["code"]) == (403, "forbidden")
        assert admin.post("/api/models", json=body).status_code == 201
        assert admin.post("/api/models", json=body).json()["error"]["code"] == "already_exists"
        assert admin.post("/api/models", json=body | {"replace": True}).status_code == 201
        assert alice.get("/api/models/gone").json()["job"] == {"command": ["cat"], "priority": 4}
        assert alice.get(f"/api/models/{model}").json()["endpoints"] == [ENDPOINT]
        assert {each["name"] for each in alice.get("/api/models").json()["models"]} == {"gone", model}
        assert {each["id"] for each in alice.get("/v1/models").json()["data"]} == {"gone", model}
        assert alice.get(f"/v1/models/{model}").json()["id"] == model
        job = {"model": "gone", "input_uri": house.input(3), "chunk_items": 1}
        detail = alice.post("/api/jobs", json=job)
        assert detail.status_code == 201, detail.text
        assert admin.delete("/api/models/gone").status_code == 204
        assert admin.delete("/api/models/gone").status_code == 404
        assert alice.post("/api/jobs", json=job).json()["error"]["code"] == "not_found"
        assert alice.delete(f"/api/models/{model}").status_code == 403


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "../x"}, "bad_request"),
        ({"name": "a//b"}, "bad_request"),
        ({"endpoints": ["v1"]}, "bad_request"),
        ({"endpoints": []}, "bad_request"),
        ({"endpoints": ["/v1/a b"]}, "bad_request"),
        ({"job": {"command": ["cat"], "input_uri": "file:///x"}}, "bad_request"),
        ({"job": {"command": ["cat"], "nonsense": 1}}, "bad_request"),
        ({"job": {"command": ["cat"], "env": {"AI_X": "1"}}}, "bad_request"),
        ({"job": {}}, "bad_request"),
        ({"job": {"container_image": "oci:/nowhere"}}, "image_unknown"),
        ({"job": {"command": ["cat"], "verify": "quorum:9"}}, "bad_request"),
    ],
)
def test_a_model_that_could_not_run_is_refused(admin: httpx2.Client, changes: dict[str, Any], code: str) -> None:
    body = {"name": "new", "endpoints": ["/v1/x/new"], "job": {"command": ["cat"]}, **changes}
    answer = admin.post("/api/models", json=body)
    assert answer.status_code in (400, 403), answer.text
    assert answer.json()["error"]["code"] in (code, "image_invalid"), answer.text
    assert admin.get("/api/models/new").status_code == 404


@pytest.mark.parametrize("changes", [{"command": ["rm"]}, {"env": {"A": "1"}}, {"container_image": "x"}])
def test_what_a_model_is_cannot_be_changed_by_a_job(
    house: House, alice: httpx2.Client, model: str, changes: dict[str, Any]
) -> None:
    answer = alice.post("/api/jobs", json={"model": model, "input_uri": house.input(3), **changes})
    assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (400, next(iter(changes)))
    without = alice.post("/api/jobs", json={"model": model})
    assert without.json()["error"]["details"]["field"] == "input_uri"
