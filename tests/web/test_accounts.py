"""Accounts and rights by REST: what operators may, what owners may, what nobody may; jobs refused for it."""

import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.web.conftest import House


@pytest.fixture
def ada(admin: httpx2.Client) -> Iterator[str]:
    """The id of an account; its jobs are in nobody's way afterwards."""
    account_id = made(admin, name="Ada Lovelace")
    before = {each["job_id"] for each in admin.get("/api/jobs?limit=1000").json()["jobs"]}
    yield account_id
    for each in admin.get("/api/jobs?limit=1000").json()["jobs"]:
        if each["job_id"] not in before:
            admin.post(f"/api/jobs/{each['job_id']}/cancel")


def made(admin: httpx2.Client, **fields: object) -> str:
    answer = admin.post("/api/accounts", json=fields)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["account_id"])


def test_an_account_is_made_seen_changed_and_disabled(admin: httpx2.Client, ada: str) -> None:
    assert ada.startswith("ada-lovelace")
    row = admin.get(f"/api/accounts/{ada}").json()
    assert (row["name"], row["email"], row["scopes"], row["share"]) == ("Ada Lovelace", None, ["submit"], 1.0)
    assert (row["submit_right"], row["has_password"], row["disabled_at"], row["used_seconds"]) == (
        "all",
        False,
        None,
        0.0,
    )
    change = {"share": 2.5, "submit_right": "none", "scopes": ["work", "submit"], "email": "Ada@Example.NET"}
    row = admin.patch(f"/api/accounts/{ada}", json=change).json()
    assert (row["share"], row["submit_right"], row["scopes"]) == (2.5, "none", ["submit", "work"])
    assert row["email"] == "ada@example.net"
    assert admin.patch(f"/api/accounts/{ada}", json={"email": ""}).json()["email"] is None
    assert admin.delete(f"/api/accounts/{ada}").status_code == 204
    assert admin.get(f"/api/accounts/{ada}").json()["disabled_at"]


def test_accounts_are_listed_in_pages(admin: httpx2.Client, ada: str) -> None:
    first = admin.get("/api/accounts", params={"limit": 1}).json()
    assert len(first["accounts"]) == 1
    assert first["next"] == first["accounts"][0]["account_id"]
    found, after = [], ""
    while after is not None:
        page = admin.get("/api/accounts", params={"limit": 2, "after": after}).json()
        found += [each["account_id"] for each in page["accounts"]]
        after = page["next"]
    assert ada in found
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"name": ""},
        {"name": "a\r\nBcc: x@y.example"},
        {"name": "a\u0000b"},
        {"name": "half \ud800"},
        {"name": "x" * 201},
        {"name": "n", "email": "no address"},
        {"name": "n", "email": "a@b\nc@d"},
        {"name": "n", "email": "a@b\r\nBcc: c@d.example"},
        {"name": "n", "account_id": "../etc"},
        {"name": "n", "account_id": "A b"},
        {"name": "n", "share": 0},
        {"name": "n", "share": -1},
        {"name": "n", "share": 1e9},
        {"name": "n", "share": 1e-9},
        {"name": "n", "scopes": ["everything"]},
        {"name": "n", "submit_right": "perhaps"},
        {"name": "n", "password": "x"},
    ],
)
def test_what_no_account_can_be_is_refused(admin: httpx2.Client, fields: dict[str, object]) -> None:
    body = json.dumps(fields)
    answer = admin.post("/api/accounts", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_ids_and_addresses_are_given_once(admin: httpx2.Client, ada: str) -> None:
    assert admin.post("/api/accounts", json={"name": "n", "account_id": ada}).status_code == 409
    assert made(admin, name="Ada Lovelace") != ada
    made(admin, name="One", email="one@example.net")
    assert admin.post("/api/accounts", json={"name": "n", "email": "ONE@example.net"}).status_code == 409
    assert admin.patch(f"/api/accounts/{ada}", json={"email": "one@example.net"}).status_code == 409


def test_others_see_and_change_themselves_only(house: House, admin: httpx2.Client, ada: str) -> None:
    bob = made(admin, name="Bob")
    with house.client(house.key("submit", account=bob)) as client:
        assert [each["account_id"] for each in client.get("/api/accounts").json()["accounts"]] == [bob]
        assert client.get(f"/api/accounts/{bob}").status_code == 200
        for path in (
            f"/api/accounts/{ada}",
            f"/api/accounts/{ada}/grants",
            "/api/accounts/nobody",
            "/api/accounts/%00",
        ):
            assert (client.get(path).status_code, client.get(path).json()["error"]["code"]) == (404, "not_found"), path
        assert client.patch(f"/api/accounts/{ada}", json={"name": "Eve"}).status_code == 404
        assert client.patch(f"/api/accounts/{bob}", json={"name": "Robert"}).json()["name"] == "Robert"
        for change in ({"share": 99}, {"scopes": ["operate"]}, {"submit_right": "all"}, {"disabled": False}):
            assert client.patch(f"/api/accounts/{bob}", json=change).status_code == 403, change
        assert client.delete(f"/api/accounts/{bob}").status_code == 403
        assert client.post("/api/accounts", json={"name": "n"}).status_code == 403
        assert client.post(f"/api/accounts/{bob}/password-link").status_code == 403
        assert client.post(f"/api/accounts/{bob}/grants", json={"application": "a"}).status_code == 403
        assert client.delete(f"/api/accounts/{bob}/grants", params={"application": "a"}).status_code == 403


def test_a_workers_key_does_not_speak_for_its_account(house: House, admin: httpx2.Client, ada: str) -> None:
    """It lies on machines of others, who must not read jobs with it, lock its owner out, or make more keys."""
    with (
        house.client(house.key("submit", account=ada)) as owner,
        house.client(house.key("work", account=ada)) as worker,
    ):
        job_id = owner.post("/api/jobs", json={"input_uri": house.input(), "command": ["cat"]}).json()["job_id"]
        assert [each["job_id"] for each in owner.get("/api/jobs").json()["jobs"]] == [job_id]
        assert worker.get("/api/jobs").json()["jobs"] == []
        for path in ("", "/results", "/events", "/story", "/chunks"):
            assert worker.get(f"/api/jobs/{job_id}{path}").status_code == 404, path
        assert worker.patch(f"/api/accounts/{ada}", json={"email": "eve@example.net"}).status_code == 403
        guess = {"old": "x" * 12, "new": "correct horse battery"}
        assert worker.post("/api/me/password", json=guess).status_code == 403
        assert worker.post("/api/keys", json={"name": "another", "scopes": ["work"]}).status_code == 403
        for key in worker.get("/api/keys").json()["keys"]:
            assert worker.delete(f"/api/keys/{key['key_id']}").status_code == 403
        assert worker.delete("/api/sessions").status_code == 403
        assert worker.get("/api/me").json()["scopes"] == ["work"]
        assert owner.get("/api/me").status_code == 200


def test_an_operator_cannot_shut_themselves_out(house: House, admin: httpx2.Client) -> None:
    assert admin.delete("/api/accounts/operators").status_code == 409
    assert admin.get("/api/me").json()["account"]["account_id"] == "operators"


def test_a_right_to_submit_is_for_all_for_some_or_for_none(house: House, admin: httpx2.Client, ada: str) -> None:
    with house.client(house.key("submit", account=ada)) as client:
        job = {"input_uri": house.input(), "command": ["cat"]}
        assert client.post("/api/jobs", json=job).status_code == 201
        admin.patch(f"/api/accounts/{ada}", json={"submit_right": "granted"})
        refused = client.post("/api/jobs", json=job)
        assert refused.status_code == 403
        error = refused.json()["error"]
        assert error["details"] == {"application": "process"}
        assert "'process'" in error["message"]
        assert "operator" in error["remedy"]
        image = client.post("/api/jobs", json={**job, "container_image": "ghcr.io/org/model:3"})
        assert image.json()["error"]["details"] == {"application": "ghcr.io/org/model"}
        granted = admin.post(f"/api/accounts/{ada}/grants", json={"application": "process"})
        assert [each["application"] for each in granted.json()["grants"]] == ["process"]
        assert client.post("/api/jobs", json=job).status_code == 201
        assert client.get("/api/me").json()["grants"][0]["application"] == "process"
        assert admin.delete(f"/api/accounts/{ada}/grants", params={"application": "process"}).status_code == 204
        assert admin.delete(f"/api/accounts/{ada}/grants", params={"application": "process"}).status_code == 404
        assert client.post("/api/jobs", json=job).status_code == 403
        admin.patch(f"/api/accounts/{ada}", json={"submit_right": "none"})
        admin.post(f"/api/accounts/{ada}/grants", json={"application": "process"})
        assert client.post("/api/jobs", json=job).status_code == 403


@pytest.mark.parametrize("application", ["", "a b", "a\nb", "x" * 257, "\u2028"])
def test_what_is_no_application_is_refused(admin: httpx2.Client, ada: str, application: str) -> None:
    assert admin.post(f"/api/accounts/{ada}/grants", json={"application": application}).status_code == 400


def test_grants_belong_to_accounts_that_are_there(admin: httpx2.Client) -> None:
    assert admin.post("/api/accounts/nobody/grants", json={"application": "a"}).status_code == 404
    assert admin.get("/api/accounts/nobody/grants").status_code == 404
