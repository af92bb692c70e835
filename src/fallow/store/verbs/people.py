"""People: accounts, identities, grants, sessions, tries to sign in, and what each account has used."""

from fallow.core.shares import faded
from fallow.core.words import Micros
from fallow.store.port import AccountRow, GrantRow, SessionRow, SigninFailureRow
from fallow.store.rows import account_of
from fallow.store.verbs.base import Verbs


class PeopleVerbs(Verbs):
    def new_account(self, row: AccountRow) -> bool:
        params = {**_changeable(row), "created_at": row.created_at, "password": row.password}
        return self.session.run("new_account", params) > 0

    def account(self, account_id: str) -> AccountRow | None:
        row = self.session.one("account", {"account_id": account_id})
        return None if row is None else account_of(row)

    def account_by_email(self, email: str) -> AccountRow | None:
        row = self.session.one("account_by_email", {"email": email})
        return None if row is None else account_of(row)

    def accounts(self, after: str, limit: int) -> list[AccountRow]:
        return [account_of(row) for row in self.session.all("accounts", {"after": after, "limit": limit})]

    def save_account(self, row: AccountRow) -> bool:
        return self.session.run("save_account", _changeable(row)) > 0

    def set_password(self, account_id: str, password: str | None) -> None:
        self.session.run("set_password", {"account_id": account_id, "password": password})

    def shares(self) -> list[tuple[str, float, float, Micros]]:
        return [(row[0], row[1], row[2], row[3]) for row in self.session.all("shares", {})]

    def charge(self, account_id: str, seconds: float, now: Micros, half_life_seconds: float) -> None:
        row = self.session.one("account_used", {"account_id": account_id})
        if row is not None:
            used = faded(row[0], row[1], now, half_life_seconds) + seconds
            self.session.run("set_account_used", {"account_id": account_id, "used": used, "now": now})

    def leasable_accounts(self) -> list[str]:
        return [row[0] for row in self.session.all("leasable_accounts", {})]

    def identity(self, issuer: str, subject: str) -> str | None:
        row = self.session.one("identity", {"issuer": issuer, "subject": subject})
        return None if row is None else str(row[0])

    def add_identity(self, issuer: str, subject: str, account_id: str, now: Micros) -> None:
        params = {"issuer": issuer, "subject": subject, "account_id": account_id, "now": now}
        self.session.run("add_identity", params)

    def grants(self, account_id: str | None = None) -> list[GrantRow]:
        if account_id is None:
            return [GrantRow(*row) for row in self.session.all("all_grants", {})]
        return [GrantRow(*row) for row in self.session.all("grants", {"account_id": account_id})]

    def add_grant(self, row: GrantRow) -> None:
        params = {
            "account_id": row.account_id,
            "application": row.application,
            "granted_by": row.granted_by,
            "granted_at": row.granted_at,
        }
        self.session.run("add_grant", params)

    def remove_grant(self, account_id: str, application: str) -> bool:
        return self.session.run("remove_grant", {"account_id": account_id, "application": application}) > 0

    def add_session(self, row: SessionRow) -> None:
        params = {
            "session_id": row.session_id,
            "account_id": row.account_id,
            "key_id": row.key_id,
            "csrf_secret": row.csrf_secret,
            "agent": row.agent,
            "created_at": row.created_at,
            "seen_at": row.seen_at,
            "expires_at": row.expires_at,
        }
        self.session.run("add_session", params)

    def session_row(self, session_id: str) -> SessionRow | None:
        row = self.session.one("session", {"session_id": session_id})
        return None if row is None else SessionRow(*row)

    def session_rows(self, account_id: str) -> list[SessionRow]:
        return [SessionRow(*row) for row in self.session.all("sessions", {"account_id": account_id})]

    def session_seen(self, session_id: str, now: Micros) -> None:
        self.session.run("session_seen", {"session_id": session_id, "now": now})

    def end_session(self, session_id: str) -> bool:
        return self.session.run("end_session", {"session_id": session_id}) > 0

    def end_sessions(self, account_id: str, but: str = "") -> int:
        return self.session.run("end_sessions", {"account_id": account_id, "but": but})

    def forget_sessions(self, now: Micros) -> None:
        self.session.run("forget_sessions", {"now": now})

    def count_signin(self, name: str, now: Micros) -> int:
        row = self.session.one("count_signin", {"name": name, "now": now})
        return 0 if row is None else int(row[0])

    def block_signin(self, name: str, until: Micros) -> None:
        self.session.run("block_signin", {"name": name, "until": until})

    def signin_failure(self, name: str) -> SigninFailureRow | None:
        row = self.session.one("signin_failure", {"name": name})
        return None if row is None else SigninFailureRow(*row)

    def forgive_signin(self, name: str, tries: int) -> None:
        self.session.run("forgive_signin", {"name": name, "tries": tries})
        self.session.run("drop_forgiven", {"name": name})

    def forget_signins(self, before: Micros) -> None:
        self.session.run("forget_signins", {"before": before})


def _changeable(row: AccountRow) -> dict[str, object]:
    return {
        "account_id": row.account_id,
        "name": row.name,
        "scopes": " ".join(sorted(row.scopes)),
        "email": row.email,
        "email_confirmed_at": row.email_confirmed_at,
        "share": row.share,
        "submit_right": row.submit_right.value,
        "disabled_at": row.disabled_at,
    }
