"""The part of Client that is about people and what they set up: keys, accounts, grants, sessions, models."""

from collections.abc import Iterable, Iterator
from typing import Any

from fallow.protocols.rest.accounts import (
    AccountList,
    AccountPatch,
    AccountRequest,
    AccountView,
    GrantList,
    GrantRequest,
    GrantView,
    Me,
    PasswordChange,
    PasswordLink,
    SessionList,
    SessionView,
)
from fallow.protocols.rest.jobs import KeyList, KeyRequest, KeyView, NewKey
from fallow.protocols.rest.models import ModelList, ModelRequest, ModelView
from fallow.sdk.fields import parsed, safe
from fallow.sdk.operations import calls
from fallow.sdk.transport import Transport


class PeopleCalls:
    """Keys, accounts, grants, sessions, models."""

    _transport: Transport

    @calls("GET /api/keys")
    def keys(self) -> list[KeyView]:
        """API keys: all of them for operators, their own for others."""
        return self._transport.ask(KeyList, "GET", "/api/keys").keys

    @calls("POST /api/keys")
    def add_key(
        self, name: str, scopes: Iterable[str], account_id: str | None = None, expires_seconds: int | None = None
    ) -> NewKey:
        """A new key; its `key` is shown this once."""
        fields = {"name": name, "scopes": list(scopes), "account_id": account_id, "expires_seconds": expires_seconds}
        return self._transport.ask(NewKey, "POST", "/api/keys", parsed(KeyRequest, fields))

    @calls("DELETE /api/keys/{key_id}")
    def revoke_key(self, key_id: str) -> None:
        """The key opens nothing any more."""
        self._transport.send("DELETE", f"/api/keys/{safe(key_id)}")

    @calls("GET /api/me")
    def me(self) -> Me:
        """Whose key this is, and what it may do."""
        return self._transport.ask(Me, "GET", "/api/me")

    @calls("GET /api/accounts", own="after limit")
    def accounts(self) -> Iterator[AccountView]:
        """All accounts for operators, their own for others."""
        after: str | None = ""
        while after is not None:
            page = self._transport.ask(AccountList, "GET", "/api/accounts", after=after)
            yield from page.accounts
            after = page.next

    @calls("GET /api/accounts/{account_id}")
    def account(self, account_id: str) -> AccountView:
        """One account."""
        return self._transport.ask(AccountView, "GET", _account(account_id))

    @calls("POST /api/accounts")
    def add_account(self, name: str, **fields: Any) -> AccountView:
        """A new account, for operators. Fields: those of AccountRequest, such as email, scopes, share, submit_right."""
        request = parsed(AccountRequest, {"name": name, **fields})
        return self._transport.ask(AccountView, "POST", "/api/accounts", request)

    @calls("PATCH /api/accounts/{account_id}")
    def change_account(self, account_id: str, **fields: Any) -> AccountView:
        """Changes what is given: those of AccountPatch, such as share, submit_right, disabled."""
        return self._transport.ask(AccountView, "PATCH", _account(account_id), parsed(AccountPatch, fields))

    @calls("DELETE /api/accounts/{account_id}")
    def disable_account(self, account_id: str) -> None:
        """Its keys and sessions open nothing any more; its jobs stay."""
        self._transport.send("DELETE", _account(account_id))

    @calls("POST /api/accounts/{account_id}/password-link")
    def password_link(self, account_id: str) -> PasswordLink:
        """A link that lets the account's owner choose a password, once."""
        return self._transport.ask(PasswordLink, "POST", f"{_account(account_id)}/password-link")

    @calls("GET /api/accounts/{account_id}/grants")
    def grants(self, account_id: str) -> list[GrantView]:
        """The applications that an account was granted."""
        return self._transport.ask(GrantList, "GET", f"{_account(account_id)}/grants").grants

    @calls("POST /api/accounts/{account_id}/grants")
    def add_grant(self, account_id: str, application: str) -> list[GrantView]:
        """Grants one more application. All that are granted now."""
        request = parsed(GrantRequest, {"application": application})
        return self._transport.ask(GrantList, "POST", f"{_account(account_id)}/grants", request).grants

    @calls("DELETE /api/accounts/{account_id}/grants")
    def remove_grant(self, account_id: str, application: str) -> None:
        """Takes one application back."""
        self._transport.send("DELETE", f"{_account(account_id)}/grants", query={"application": application})

    @calls("POST /api/me/password")
    def change_password(self, old: str, new: str) -> None:
        """One's own; all browsers are signed out."""
        request = parsed(PasswordChange, {"old": old, "new": new})
        self._transport.send("POST", "/api/me/password", content=request.model_dump_json().encode())

    @calls("GET /api/sessions")
    def sessions(self) -> list[SessionView]:
        """One's own browsers that are signed in."""
        return self._transport.ask(SessionList, "GET", "/api/sessions").sessions

    @calls("DELETE /api/sessions/{session}")
    def end_session(self, session: str) -> None:
        """Signs one of one's own browsers out."""
        self._transport.send("DELETE", f"/api/sessions/{safe(session)}")

    @calls("DELETE /api/sessions")
    def end_sessions(self) -> None:
        """Signs all of one's own browsers out."""
        self._transport.send("DELETE", "/api/sessions")

    @calls("GET /api/models")
    def models(self) -> list[ModelView]:
        """The models that serve, by name."""
        return self._transport.ask(ModelList, "GET", "/api/models").models

    @calls("GET /api/models/{name}")
    def model(self, name: str) -> ModelView:
        """One model."""
        return self._transport.ask(ModelView, "GET", f"/api/models/{safe(name)}")

    @calls("POST /api/models")
    def add_model(self, name: str, endpoints: Iterable[str], job: dict[str, Any], replace: bool = False) -> ModelView:
        """Bind a name to what runs. job: members of a JobRequest without its input, such as container_image."""
        fields = {"name": name, "endpoints": list(endpoints), "job": job, "replace": replace}
        return self._transport.ask(ModelView, "POST", "/api/models", parsed(ModelRequest, fields))

    @calls("DELETE /api/models/{name}")
    def remove_model(self, name: str) -> None:
        """It takes no more jobs; those that it has go on."""
        self._transport.send("DELETE", f"/api/models/{safe(name)}")


def _account(account_id: str) -> str:
    return f"/api/accounts/{safe(account_id)}"
