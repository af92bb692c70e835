"""Accounts, their keys, and the installation's settings."""

from fallow.core.words import Micros
from fallow.store.port import KeyRow
from fallow.store.rows import key_of
from fallow.store.verbs.base import Verbs


class AccountVerbs(Verbs):
    def add_account(self, account_id: str, name: str, now: Micros) -> None:
        self.session.run("add_account", {"account_id": account_id, "name": name, "now": now})

    def add_key(self, key: KeyRow) -> None:
        self.session.run(
            "add_key",
            {
                "key_id": key.key_id,
                "account_id": key.account_id,
                "name": key.name,
                "secret_sha256": key.secret_sha256,
                "scopes": " ".join(sorted(key.scopes)),
                "created_at": key.created_at,
                "expires_at": key.expires_at,
                "revoked_at": key.revoked_at,
            },
        )

    def key(self, key_id: str) -> KeyRow | None:
        row = self.session.one("key", {"key_id": key_id})
        return None if row is None else key_of(row)

    def keys(self, account_id: str | None) -> list[KeyRow]:
        if account_id is None:
            rows = self.session.all("all_keys", {})
        else:
            rows = self.session.all("keys", {"account_id": account_id})
        return [key_of(row) for row in rows]

    def revoke_key(self, key_id: str, now: Micros) -> bool:
        return self.session.run("revoke_key", {"key_id": key_id, "now": now}) > 0

    def setting(self, name: str) -> str | None:
        row = self.session.one("setting", {"name": name})
        return None if row is None else str(row[0])

    def add_setting(self, name: str, value: str) -> None:
        self.session.run("add_setting", {"name": name, "value": value})

    def set_setting(self, name: str, value: str) -> None:
        self.session.run("set_setting", {"name": name, "value": value})
