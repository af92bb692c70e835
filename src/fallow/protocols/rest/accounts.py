"""People, as the door says them: accounts, grants, sessions."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Scopes = list[Literal["submit", "operate", "work"]]
SubmitRightWord = Literal["all", "granted", "none"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AccountRequest(_Message):
    """POST /api/accounts. account_id: made of the name when it is left out. scopes: what the account may do when it
    signs in; keys carry their own. submit_right: for all applications, only for granted ones, or for none."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    account_id: Annotated[str | None, Field(max_length=64)] = None
    email: Annotated[str | None, Field(max_length=254)] = None
    scopes: Scopes = ["submit"]
    share: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    submit_right: SubmitRightWord = "all"


class AccountPatch(_Message):
    """PATCH /api/accounts/{id}: what is left out stays. email "": none. Owners may change name and email."""

    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    email: Annotated[str | None, Field(max_length=254)] = None
    scopes: Scopes | None = None
    share: Annotated[float | None, Field(gt=0, le=1_000_000)] = None
    submit_right: SubmitRightWord | None = None
    disabled: bool | None = None


class AccountView(_Message):
    """used_seconds: of slots, fading, as shares are compared by."""

    account_id: str
    name: str
    email: str | None
    scopes: list[str]
    share: float
    used_seconds: float
    submit_right: str
    has_password: bool
    created_at: str
    disabled_at: str | None


class AccountList(_Message):
    accounts: list[AccountView]
    next: str | None


class GrantRequest(_Message):
    """application: a model's name, or an image without its tag, such as ghcr.io/org/model."""

    application: Annotated[str, Field(min_length=1, max_length=256)]


class GrantView(_Message):
    application: str
    granted_by: str
    granted_at: str


class GrantList(_Message):
    grants: list[GrantView]


class PasswordLink(_Message):
    """url: sets the account's password, once."""

    url: str
    expires_at: str


class PasswordChange(_Message):
    """POST /api/me/password."""

    old: Annotated[str, Field(max_length=1024)]
    new: Annotated[str, Field(max_length=1024)]


class Me(_Message):
    """Who calls. scopes: of the key or session that calls."""

    account: AccountView
    scopes: list[str]
    key_id: str | None
    grants: list[GrantView]


class SessionView(_Message):
    """A browser that is signed in. session: its name, for DELETE /api/sessions/{session}."""

    session: str
    agent: str
    created_at: str
    seen_at: str
    expires_at: str
    key_id: str | None
    current: bool


class SessionList(_Message):
    sessions: list[SessionView]
