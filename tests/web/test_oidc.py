"""Signing in at an identity provider, over real HTTP: who is let in, whose account it is, how it is refused."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import KeySet

from fallow.clock import ManualClock
from fallow.core.refusals import Code, Refusal
from fallow.settings import Settings, load_settings
from fallow.web.oidc import Oidc
from fallow.wiring import EmbeddedServer, start_embedded
from tests.web.oidc_provider import (
    CLIENT,
    SECRET,
    Claims,
    Provider,
    by_a_strangers_key,
    elliptic,
    provider,
    unsigned,
)


@dataclass
class Scene:
    server: EmbeddedServer
    provider: Provider

    def browser(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.server.url)

    def admin(self) -> httpx2.Client:
        headers = {"authorization": f"Bearer {self.server.admin_key}"}
        return httpx2.Client(base_url=self.server.url, headers=headers)

    def depart(self, client: httpx2.Client, next_path: str = "") -> str:
        """To the provider and back again: the address that the provider sends the browser to."""
        answer = client.get("/sign-in/oidc", params={"next": next_path})
        assert answer.status_code == 303, answer.text
        back = httpx2.get(answer.headers["location"])
        assert back.status_code == 302
        return str(back.headers["location"])

    def through(self, client: httpx2.Client, next_path: str = "") -> httpx2.Response:
        return client.get(self.depart(client, next_path))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with provider() as made:
        settings = Settings(
            data_dir=tmp_path_factory.mktemp("oidc"),
            oidc_issuer=made.url,
            oidc_client_id=CLIENT,
            oidc_client_secret=SECRET,
            oidc_name="Example ID",
            oidc_sign_up=True,
        )
        server = start_embedded(settings)
        yield Scene(server, made)
        server.stop()


@pytest.fixture
def scene(running: Scene) -> Scene:
    """With a provider as it was in the beginning."""
    fresh = Provider(url=running.provider.url, keys=running.provider.keys, sub=f"sub-{time.monotonic_ns()}")
    vars(running.provider).update(vars(fresh))
    return running


def test_a_stranger_gets_an_account_that_may_submit_nothing_yet(scene: Scene) -> None:
    with scene.browser() as grace:
        assert "Sign in with Example ID" in grace.get("/sign-in").text
        answer = scene.through(grace, "/jobs?state=live")
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=live")
        me = grace.get("/api/me").json()
        assert me["account"]["name"] == "Grace Hopper"
        assert (me["scopes"], me["account"]["submit_right"]) == (["submit"], "none")
        assert me["account"]["email"] == "grace@example.org"
    query = scene.provider.seen[-1]
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    assert "openid" in query["scope"].split()
    assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 43


def test_the_same_subject_is_the_same_account_and_another_is_not(scene: Scene) -> None:
    found = []
    for sub, name in ((scene.provider.sub, "Grace"), (scene.provider.sub, "Renamed"), ("somebody-else", "Grace")):
        scene.provider.sub, scene.provider.name = sub, name
        with scene.browser() as client:
            scene.through(client)
            found.append(client.get("/api/me").json()["account"]["account_id"])
    assert found[0] == found[1] != found[2]


def test_an_address_takes_over_nobodys_account(scene: Scene) -> None:
    """An account made here with the same address stays what it is."""
    with scene.admin() as admin:
        made = {"name": "Boss", "account_id": "boss", "email": "boss@example.org", "scopes": ["operate"]}
        assert admin.post("/api/accounts", json=made).status_code == 201
    scene.provider.email = "boss@example.org"
    with scene.browser() as client:
        scene.through(client)
        account = client.get("/api/me").json()["account"]
    assert account["account_id"] != "boss"
    assert account["email"] is None


def test_an_address_that_the_provider_has_not_confirmed_is_not_believed(scene: Scene) -> None:
    scene.provider.email, scene.provider.email_verified = "unsure@example.org", False
    with scene.browser() as client:
        scene.through(client)
        assert client.get("/api/me").json()["account"]["email"] is None


def test_names_from_a_provider_end_no_line(scene: Scene) -> None:
    scene.provider.name = "Eve\r\nBcc: all@example.org"
    with scene.browser() as client:
        scene.through(client)
        assert client.get("/api/me").json()["account"]["name"] == "Somebody"


def test_elliptic_keys_and_keys_that_change_are_followed(scene: Scene) -> None:
    scene.server.system.door.oidc._known = None  # type: ignore[union-attr]  # as after ten minutes
    with scene.browser() as client:
        assert scene.through(client).status_code == 303
    scene.provider.keys = KeySet([*scene.provider.keys.keys, elliptic()])
    known = scene.server.system.door.oidc._known  # type: ignore[union-attr]
    assert known is not None
    object.__setattr__(known, "fetched_at", known.fetched_at - 60_000_000)  # a minute went by
    with scene.browser() as client:
        assert scene.through(client).status_code == 303


def test_the_secret_goes_into_the_form_where_the_provider_wants_it_so(scene: Scene) -> None:
    scene.provider.auth_methods = ("client_secret_post",)
    scene.server.system.door.oidc._known = None  # type: ignore[union-attr]
    with scene.browser() as client:
        assert scene.through(client).status_code == 303
    scene.server.system.door.oidc._known = None  # type: ignore[union-attr]


SPOILS: dict[str, Callable[[Claims], object]] = {
    "for somebody else": lambda claims: claims.update(aud="another"),
    "for several, and not meant for us": lambda claims: claims.update(aud=[CLIENT, "another"], azp="another"),
    "by somebody else": lambda claims: claims.update(iss="https://other.example"),
    "too old": lambda claims: claims.update(exp=int(time.time()) - 120),
    "not yet": lambda claims: claims.update(nbf=int(time.time()) + 600),
    "of another sign-in": lambda claims: claims.update(nonce="another"),
    "of no sign-in": lambda claims: claims.pop("nonce"),
    "without an end": lambda claims: claims.pop("exp"),
    "of nobody": lambda claims: claims.pop("sub"),
    "of no text": lambda claims: claims.update(sub=5),
    "of too much text": lambda claims: claims.update(sub="x" * 256),
    "bound to another token": lambda claims: claims.update(at_hash="AAAA"),
}


@pytest.mark.parametrize("what", SPOILS)
def test_a_token_that_is_not_good_lets_nobody_in(scene: Scene, what: str) -> None:
    scene.provider.spoil = SPOILS[what]
    with scene.browser() as client:
        answer = scene.through(client)
        assert answer.status_code in (401, 502)
        assert "identity provider" in answer.text
        assert "fallow_session" not in client.cookies


@pytest.mark.parametrize("sign", [by_a_strangers_key, unsigned, lambda _p, _c: "x.y.z", lambda _p, _c: ""])
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    scene: Scene, sign: Callable[[Provider, Claims], str]
) -> None:
    scene.provider.sign = sign
    with scene.browser() as client:
        assert scene.through(client).status_code in (401, 502)
        assert "fallow_session" not in client.cookies


def test_an_answer_belongs_to_the_browser_that_asked_and_works_once(scene: Scene) -> None:
    with scene.browser() as ada, scene.browser() as eve:
        back = scene.depart(ada)
        assert eve.get(back).status_code == 403, "a link that eve was sent signs her in nowhere"
        scene.depart(eve)
        assert eve.get(back).status_code == 403, "another sign-in's answer neither"
        assert ada.get(back).status_code == 303
        assert ada.get(back).status_code == 403
        state = parse_qs(urlsplit(back).query)["state"][0]
        for query in ({}, {"state": state}, {"code": "x"}, {"state": "\u00e9", "code": "x"}):
            assert eve.get("/sign-in/oidc/callback", params=query).status_code == 403


def test_a_forged_errand_is_none(scene: Scene) -> None:
    with scene.browser() as client:
        back = scene.depart(client)
        kept = client.cookies["fallow_oidc"]
        client.cookies.clear()
        for forged in ("", "x", "e30.e30", kept[:-1], "A" + kept):
            answer = client.get(back, headers={"cookie": f"fallow_oidc={forged}"})
            assert answer.status_code == 403


def test_what_the_provider_refuses_is_said(scene: Scene) -> None:
    with scene.browser() as client:
        state = parse_qs(urlsplit(scene.depart(client)).query)["state"][0]
        said = client.get("/sign-in/oidc/callback", params={"state": state, "error": "access_denied<b>"})
        assert said.status_code == 401
        assert "access_denied&lt;b&gt;" in said.text


def test_it_never_leads_to_another_site(scene: Scene) -> None:
    with scene.browser() as client:
        assert scene.through(client, "//evil.example/").headers["location"] == "/jobs"


def test_a_disabled_account_stays_out(scene: Scene) -> None:
    with scene.browser() as client, scene.admin() as admin:
        scene.through(client)
        account = client.get("/api/me").json()["account"]["account_id"]
        assert admin.delete(f"/api/accounts/{account}").status_code == 204
        assert client.get("/api/me").status_code == 401
        assert scene.through(client).status_code == 401


def test_without_sign_up_strangers_stay_out_and_nothing_is_kept_of_them(tmp_path: Path) -> None:
    with provider() as made:
        made_settings = Settings(
            data_dir=tmp_path, oidc_issuer=made.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET
        )
        server = start_embedded(made_settings)
        try:
            scene = Scene(server, made)
            with scene.browser() as client, scene.admin() as admin:
                assert scene.through(client).status_code == 403
                assert len(admin.get("/api/accounts").json()["accounts"]) == 1
            scene.server.system.door.oidc._known = None  # type: ignore[union-attr]
            made.issuer_said = "https://other.example"
            with scene.browser() as client:
                assert client.get("/sign-in/oidc").status_code == 502
        finally:
            server.stop()


def test_a_provider_that_is_away_is_said_and_other_ways_stay_open(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, oidc_issuer="http://127.0.0.1:9", oidc_client_id=CLIENT)
    server = start_embedded(settings)
    try:
        with httpx2.Client(base_url=server.url) as client:
            assert client.get("/sign-in/oidc").status_code == 502
            assert client.post("/sign-in", data={"key": server.admin_key}).status_code == 303
    finally:
        server.stop()


def test_who_comes_while_the_provider_is_away_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    oidc = Oidc(Settings(oidc_issuer="http://127.0.0.1:9", oidc_client_id=CLIENT), clock, b"k" * 32)
    ask, asked = oidc._asked, []

    def noted(method: str, url: str, **more: Any) -> dict[str, Any]:
        asked.append(url)
        return ask(method, url, **more)

    monkeypatch.setattr(oidc, "_asked", noted)
    for after, calls in ((0, 1), (1, 1), (5, 2)):
        clock.advance(after)
        with pytest.raises(Refusal) as caught:
            oidc.depart("/jobs")
        assert (caught.value.code, len(asked)) == (Code.FETCH_FAILED, calls)


def test_a_server_without_a_provider_has_no_such_door(tmp_path: Path) -> None:
    server = start_embedded(Settings(data_dir=tmp_path))
    try:
        with httpx2.Client(base_url=server.url) as client:
            assert client.get("/sign-in/oidc").status_code == 404
            assert client.get("/sign-in/oidc/callback").status_code == 404
            assert "/sign-in/oidc" not in client.get("/sign-in").text
    finally:
        server.stop()


def test_the_secret_is_not_shown_and_halves_are_refused() -> None:
    settings = Settings(oidc_issuer="https://id.example", oidc_client_id=CLIENT, oidc_client_secret=SECRET)
    assert SECRET not in repr(settings)
    for given in ({"oidc_issuer": "https://id.example"}, {"oidc_issuer": "http://id.example", "oidc_client_id": "x"}):
        with pytest.raises(Refusal):
            load_settings(given, {})
